// Sends one event with the SDK that Knative's own sources, triggers and sinks are made with, and
// prints what came back as JSON: the reply event, or the status that refused it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/protocol/http"
)

func main() {
	target, mode, id, kind := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	client, err := cloudevents.NewClientHTTP()
	if err != nil {
		panic(err)
	}
	event := cloudevents.NewEvent()
	event.SetID(id)
	event.SetSource("/go/sender")
	event.SetType(kind)
	event.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	var data json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&data); err != nil {
		panic(err)
	}
	if err := event.SetData(cloudevents.ApplicationJSON, data); err != nil {
		panic(err)
	}
	ctx := cloudevents.ContextWithTarget(context.Background(), target)
	if mode == "structured" {
		ctx = cloudevents.WithEncodingStructured(ctx)
	} else {
		ctx = cloudevents.WithEncodingBinary(ctx)
	}
	reply, result := client.Request(ctx, event)
	status := 0
	var answered *http.Result
	if cloudevents.ResultAs(result, &answered) {
		status = answered.StatusCode
	}
	told := map[string]any{"status": status, "accepted": cloudevents.IsACK(result)}
	if reply != nil {
		told["reply"] = reply
		if err := reply.Validate(); err != nil {
			told["invalid"] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, result)
}
