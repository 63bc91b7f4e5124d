package config

// The shapes of a webhook and of the blocks within it.

// sharedArguments are those of a webhook that `defaults` may have.
var sharedArguments = []argument{
	{name: "method", is: isAString, fallback: `"POST"`, example: `"PUT"`, doc: "GET, HEAD, POST, PUT, PATCH or DELETE. GET, HEAD and DELETE carry no body: id, topic and `body_params` go into the query."},
	{name: "headers", is: isAMap, example: `{ X-Source = "walpost" }`, sees: seesRequest, secret: true, doc: "More headers. Null leaves one out."},
	{name: "envelope", is: isAString, fallback: `"gist"`, example: `"raw"`, doc: "The body's shape: `\"gist\"` is id, topic, created_at and the data's own keys; `\"standard\"` is type, timestamp and data, as Standard Webhooks has it; `\"raw\"` is the data alone."},
	{name: "timeout", is: isADuration, fallback: `"10s"`, example: `"3s"`, doc: "Of an attempt, until the response's headers are there."},
	{name: "retry", is: "list of durations", fallback: `["5m", "1h", "3h"]`, example: `["1m", "1h"]`, doc: "How long after a failed attempt the next one follows. `[]`: no retries."},
	{name: "expire", is: isADuration, example: `"72h"`, doc: "How long after its commit an event may still be sent. Later its delivery fails, without a request, and is kept. Default: for ever."},
	{name: "success", is: isStatuses, example: `[200, 201, 204]`, doc: "Statuses that count as delivered. Default: 2xx."},
	{name: "permanent", is: isStatuses, example: `[400, 422]`, doc: "Statuses that no retry follows. Default: none. 410 disables the webhook, always."},
	{name: "retry_on", is: isStatuses, example: `[403]`, doc: "Statuses that are retried, whatever `success`, `permanent`, `success_when` and `permanent_when` say."},
	{name: "enabled", is: isABool, fallback: `true`, example: `false`, doc: "A webhook that isn't gets no deliveries."},
	{name: "concurrency", is: `number or "auto"`, fallback: `"auto"`, example: `8`, doc: "Requests at a time, at most. `\"auto\"` begins with 4, finds how many are best by the time that answers take, and backs off on timeouts and on 429, 502, 503 and 504. A number is exact."},
	{name: "concurrency_max", is: isANumber, fallback: `1000`, example: `64`, doc: "What `concurrency = \"auto\"` stays within."},
	{name: "rate_limit", is: "rate", example: `"100/s"`, doc: "Requests in any second (`/s`), minute (`/m`) or hour (`/h`), at most, evenly spread. A batch counts as one. Each webhook has its own, in `defaults` too. Default: no limit."},
	{name: "breaker", is: isABool, fallback: `false`, example: `true`, doc: "Stops sending to an endpoint that is dead, and probes it. Deliveries are owed meanwhile, without an attempt that counts."},
	{name: "queue", is: isANumber, fallback: `1000`, example: `5000`, doc: "Deliveries that wait in memory, at most; a burst may exceed it while memory is ample and others have traffic. More go to the ledger."},
}

// webhookArguments are those that only a webhook has.
var webhookArguments = []argument{
	{name: "name", is: isAString, example: `"Salesforce leads"`, doc: "For people. Default: the label."},
	{name: "topics", is: isStrings, example: `["contact.*"]`, required: true, doc: "Topics that it gets. `*` stands for any run of characters, dots too."},
	{name: "when", is: isABool, example: `event.data.contact.email != null`, sees: seesEvent, doc: "Which of their events it gets. Null is no. Default: all."},
	{
		name: "order_by", is: "string, number, bool, or a list of them", example: `event.aggregate_id`, sees: seesEvent,
		doc: "Deliveries of which it is the same go one after the other, in commit order; a failing one holds them. Null and `\"\"`: no order. See [ordering](ordering.md).",
	},
	{
		name: "url", is: isAString, example: `"https://example.com/hooks"`, sees: seesRequest, required: true, secret: true,
		doc: "Where to send. No event decides scheme and host: they are written out, or come from `env()` or a local that does.",
	},
	{name: "query", is: isAMap, example: `{ api_secret = env("GA_SECRET") }`, sees: seesRequest, secret: true, doc: "Appended to the URL, encoded. Null leaves one out; a list gives one for each element."},
	{name: "body", is: isAnything, example: `{ email = event.data.contact.email }`, sees: seesRequest, secret: true, doc: "The whole body, as JSON. Default: by `envelope`."},
	{name: "body_params", is: isAnObject, example: `{ source = "walpost" }`, sees: seesRequest, secret: true, doc: "More top-level keys of the envelope."},
	{
		name: "form", is: isAMap, example: `{ email = event.data.contact.email }`, sees: seesRequest, secret: true,
		doc: "The whole body, as `application/x-www-form-urlencoded`. Null leaves one out; a list gives one for each element.",
	},
	{
		name: "success_when", is: isABool, example: `response.status == 200 && response.json.ok`, sees: seesJudge,
		doc: "Asked about a successful status: false and null are not delivered, and retried.",
	},
	{name: "permanent_when", is: isABool, example: `response.json.title == "Member In Compliance State"`, sees: seesJudge, doc: "Asked about what isn't delivered: true is final, and not retried."},
	{
		name: "wait_for", is: isABool, example: `captured("tickets", event.aggregate_id) != null`, sees: seesOne,
		doc: "Asked before each attempt: false and null put it off by the schedule, as a failed attempt would be. Not with `batch`.",
	},
}

var batchShape = shape{
	doc: "Several events in one request. `url`, `query`, `headers`, `body` and `form` then see `events`, a list, and not `event`. Not with GET, HEAD and DELETE, nor with `body_params`.",
	arguments: []argument{
		{name: "max", is: isANumber, fallback: `100`, example: `25`, doc: "Events in a request, at most."},
		{name: "wait", is: isADuration, fallback: `"1s"`, example: `"500ms"`, doc: "How long the first event waits for more; up to 10 s."},
		{
			name: "failed", is: isStrings, example: `[for e in response.json.errors : e.id]`, sees: "events, response, local, captured()",
			doc: "The ids of the events that a delivered answer did not accept. They are retried, the others are delivered.",
		},
	},
}

var captureShape = shape{
	doc: "What is kept of a delivered answer. Other expressions of webhooks read it as `captured(\"<webhook>\", key)`; it is null where nothing is kept. It is kept for 30 days.",
	arguments: []argument{
		{name: "key", is: "string or number", example: `event.aggregate_id`, sees: seesOne, required: true, doc: "What it is kept under. Null: nothing is kept."},
		{name: "value", is: isAnything, example: `response.json.id`, sees: seesResponse, required: true, doc: "What is kept. Null: nothing."},
	},
}

var signShape = shape{
	doc: "Signs requests as Standard Webhooks 1.0.0 has it, so that the receiver knows who sent them.",
	arguments: []argument{
		{name: "secret", is: isAString, example: `env("CRM_SECRET")`, required: true, secret: true, doc: "`whsec_` and Base64, or Base64 alone."},
		{name: "previous", is: isAString, example: `env("CRM_SECRET_OLD", "")`, secret: true, doc: "The secret that is being rotated out: requests carry both signatures. `\"\"` is none."},
	},
}

var (
	tokenURL    = argument{name: "token_url", is: isAString, example: `"https://login.example.com/oauth2/token"`, required: true, secret: true, doc: "Where tokens are had."}
	tokenScopes = argument{name: "scopes", is: isStrings, fallback: `[]`, example: `["contacts.write"]`, doc: "What the token is to allow."}
	tokenParams = argument{name: "params", is: isAMap, fallback: `{}`, example: `{ resource = "https://api.example.com" }`, secret: true, doc: "More parameters of the token request."}
)

var oauth2Shape = shape{
	label: ofKind, doc: "Tokens for client credentials (RFC 6749, section 4.4). They are kept until shortly before they expire, and renewed when an answer is 401.",
	arguments: []argument{
		tokenURL,
		{name: "client_id", is: isAString, example: `env("CRM_CLIENT_ID")`, required: true, secret: true, doc: "Who asks for tokens."},
		{name: "client_secret", is: isAString, example: `env("CRM_CLIENT_SECRET")`, required: true, secret: true, doc: "Its secret."},
		tokenScopes, tokenParams,
	},
}

var jwtBearerShape = shape{
	label: ofKind, doc: "Tokens for an assertion that walpost signs with RS256 (RFC 7523, section 2.1), such as Salesforce's JWT bearer flow.",
	arguments: []argument{
		tokenURL,
		{name: "issuer", is: isAString, example: `env("CRM_CLIENT_ID")`, required: true, secret: true, doc: "The assertion's `iss`."},
		{name: "subject", is: isAString, example: `"hooks@example.com"`, secret: true, doc: "The assertion's `sub`."},
		{name: "audience", is: isAString, example: `"https://login.example.com"`, secret: true, doc: "The assertion's `aud`. Default: `token_url`."},
		{name: "private_key", is: isAString, example: `file("crm.pem")`, required: true, secret: true, doc: "An RSA key, as PEM of PKCS #1 or #8."},
		tokenScopes, tokenParams,
	},
}

var basicShape = shape{
	label: ofKind, doc: "User name and password with each request (RFC 7617).",
	arguments: []argument{
		{name: "username", is: isAString, example: `env("CRM_USER")`, required: true, secret: true, doc: "The user name."},
		{name: "password", is: isAString, example: `env("CRM_PASSWORD")`, required: true, secret: true, doc: "The password."},
	},
}

var bearerShape = shape{
	label: ofKind, doc: "A token that doesn't change, with each request (RFC 6750).",
	arguments: []argument{
		{name: "token", is: isAString, example: `env("CRM_TOKEN")`, required: true, secret: true, doc: "The token."},
	},
}
