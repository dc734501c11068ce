import numpy as np


def threshold_at_fpr(y, p, r):
    return float(np.quantile(p[y == 0], 1 - r))
