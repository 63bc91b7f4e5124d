package config

// The shapes of a test and of the blocks within it.

var testShape = shape{
	label: "name", several: true,
	doc: "What becomes of an event, for `walpost test`: nothing is sent, and no database is needed.",
	arguments: []argument{
		{name: "captured", is: "object of objects", example: `{ tickets = { "42" = 1001 } }`, doc: "What `captured(webhook, key)` finds: `{ webhook = { key = value } }`."},
		{name: "expect_none", is: isStrings, example: `["crm"]`, doc: "Webhooks that must not get the event."},
	},
	blocks: []string{"event", "response", "expect"},
}

var testEventShape = shape{
	several: true,
	doc:     "The row that the application inserted. Several of them are one batch.",
	arguments: []argument{
		{name: "id", is: isAString, fallback: `"00000000-0000-4000-8000-000000000001"`, example: `"e1"`, doc: "The event's id; that of the second event ends in 2, and so on."},
		{name: "aggregate_type", is: isAString, fallback: `"contact"`, example: `"conversation"`, doc: "The kind of thing that it happened to."},
		{name: "aggregate_id", is: isAString, fallback: `"1"`, example: `"42"`, doc: "The thing that it happened to."},
		{name: "type", is: isAString, example: `"tagged"`, required: true, doc: "What happened."},
		{name: "payload", is: isAnObject, fallback: `{}`, example: `{ contact = { id = 7 } }`, doc: "The row's payload."},
		{name: "headers", is: isAnObject, example: `{ traceparent = "00-…" }`, doc: "The row's headers. Default: none."},
		{name: "created_at", is: "time", fallback: `"2026-01-02T03:04:05Z"`, example: `"2026-05-06T07:08:09Z"`, doc: "When it was inserted, and committed."},
	},
}

var testResponseShape = shape{
	doc: "What the endpoint answers. With it, `verdict`, `capture` and `failed` can be expected.",
	arguments: []argument{
		{name: "status", is: isANumber, fallback: `200`, example: `207`, doc: "Its status."},
		{name: "headers", is: isAMap, example: `{ Retry-After = "60" }`, doc: "Its headers."},
		{name: "json", is: isAnything, example: `{ id = 1001 }`, doc: "Its body, as JSON."},
		{name: "body", is: isAString, example: `"accepted"`, doc: "Its body, as text."},
	},
}

var expectShape = shape{
	label: "webhook", several: true,
	doc: "The request that the webhook of the label must make. Only what is named is compared; a header, query or form parameter that is to be null must not be there.",
	arguments: []argument{
		{name: "topic", is: isAString, example: `"contact.tagged"`, doc: "The delivery's topic."},
		{name: "method", is: isAString, example: `"POST"`, doc: "The request's method."},
		{name: "url", is: isAString, example: `"https://example.com/contacts/7"`, secret: true, doc: "The request's URL. It is compared without the query if it has none."},
		{name: "query", is: isAMap, example: `{ v = "2" }`, secret: true, doc: "Query parameters."},
		{name: "headers", is: isAMap, example: `{ X-Source = "walpost" }`, secret: true, doc: "Headers, whatever their case."},
		{name: "form", is: isAMap, example: `{ email = "ada@example.com" }`, secret: true, doc: "Form parameters."},
		{name: "body", is: isAnything, example: `{ email = "ada@example.com" }`, secret: true, doc: "The body, compared as JSON: neither the order of keys nor the form of numbers matters."},
		{name: "verdict", is: isAString, example: `"delivered"`, doc: "What the answer means: `\"delivered\"`, `\"retry\"`, `\"rejected\"` (final) or `\"gone\"` (the webhook is disabled)."},
		{name: "capture", is: isAnObject, example: `{ "42" = 1001 }`, doc: "What is kept of the answer, by key; `{}`: nothing."},
		{name: "failed", is: isStrings, example: `["e2"]`, doc: "The ids of the events that the batch's answer did not accept; `[]`: none."},
	},
}
