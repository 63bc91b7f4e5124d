package sender_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/walpost/walpost/sender"
)

func ExampleEndpoint_Send() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("received", r.Header.Get("webhook-topic"), "attempt", r.Header.Get("webhook-attempt"))
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer receiver.Close()

	endpoint, err := sender.New(sender.Options{Secret: sender.NewSecret()})
	if err != nil {
		panic(err)
	}
	defer endpoint.Close()

	attempt := sender.Attempt{
		DeliveryID: "0b1e6d5c-5a0e-5d6c-9d5f-2f1f4a1f0c11", Topic: "contact.tagged", Number: 1,
		Method: http.MethodPost, URL: receiver.URL,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"contact":{"id":7}}`),
	}
	outcome := endpoint.Send(context.Background(), attempt)
	delay, again := endpoint.Policy().Next(attempt.Number, outcome)
	fmt.Println(outcome.Verdict, outcome.Class, outcome.Status, delay, again)
	// Output:
	// received contact.tagged attempt 1
	// retry status 503 5m0s true
}
