"""Mail in: a server that mail servers send copies to, and a folder that is looked through."""
