package config

import "slices"

// shape says what a block may have, for the loader, which reports everything else, and
// for Reference, which describes it.
type shape struct {
	label     string     // what its label is; "": it has none
	doc       string     // sentences
	arguments []argument // name = value
	blocks    []string   // within it
	several   bool       // there may be several of it
	free      bool       // any argument
}

// argument is an argument of a block.
type argument struct {
	name     string
	is       string // its type, as people call it
	fallback string // HCL of the value that leaving it out stands for; "": none
	example  string // HCL of what one could write
	sees     string // variables that an expression may use; "": it is decided once, at load
	doc      string // sentences
	required bool
	secret   bool // what env() and file() give may go here, and is kept secret
}

// argument returns the argument of that name.
func (s shape) argument(name string) (argument, bool) {
	i := slices.IndexFunc(s.arguments, func(a argument) bool { return a.name == name })
	if i < 0 {
		return argument{}, false
	}
	return s.arguments[i], true
}

// names are those of the arguments.
func (s shape) names() []string {
	names := make([]string, len(s.arguments))
	for i, a := range s.arguments {
		names[i] = a.name
	}
	return names
}

// topLevel is the key of the shape of a whole file.
const topLevel = ""

// ofKind is the label of a block that has several kinds with arguments of their own,
// such as auth "basic". The kind's shape is under the block's key, a dot and the label.
const ofKind = "kind"

// What arguments are.
const (
	isAString   = "string"
	isANumber   = "number"
	isABool     = "true or false"
	isADuration = "duration"
	isASize     = "size"
	isStrings   = "list of strings"
	isStatuses  = "list of statuses"
	isAMap      = "object of strings"
	isAnObject  = "object"
	isAnything  = "anything"
)

// What expressions see.
const (
	seesEvent    = "event, local"
	seesRequest  = "event (in a batch: events), local, captured()"
	seesOne      = "event, local, captured()"
	seesJudge    = "event (in a batch: events), response, local, captured()"
	seesResponse = "event, response, local, captured()"
)

// shapes has each kind of block; a nested one by its parent's name, too.
var shapes = map[string]shape{
	topLevel: {
		arguments: []argument{
			{name: "rules", is: isAString, fallback: `"gist"`, example: `"none"`, doc: "The built-in pack: `\"gist\"` has the 27 topics of the Gist guide, `\"none\"` has nothing."},
		},
		blocks: []string{"database", "outbox", "ledger", "admin", "egress", "defaults", "locals", "topic", "rule", "webhook", "test"},
	},
	"database": {
		doc: "The application's Postgres.",
		arguments: []argument{
			{name: "url", is: isAString, example: `env("DATABASE_URL")`, required: true, secret: true, doc: "Connection string, for the ledger and, unless there is another, for replication."},
			{name: "replication_url", is: isAString, example: `env("DATABASE_DIRECT_URL")`, secret: true, doc: "Connection string for the replication connection, where `url` goes through a pooler. Default: `url`."},
		},
	},
	"outbox": {
		doc: "The table that the application inserts its events into.",
		arguments: []argument{
			{name: "table", is: isAString, fallback: `"public.outbox"`, example: `"app.outbox_events"`, doc: "Its name, with the schema."},
			{name: "mode", is: isAString, fallback: `"stream"`, example: `"polling"`, doc: "How committed rows are found: `\"stream\"`, by logical replication; `\"polling\"`, by reading the table, where that is not to be had. " +
				"Polling needs a column `walpost_xid` and an index in the table, which `walpost init --sql` prints. [sources.md](sources.md) says which to take."},
			{name: "slot", is: isAString, fallback: `"walpost"`, example: `"walpost"`, doc: "The replication slot: lower-case letters, digits and `_`. The checkpoint has the same name; when polling, there is only that."},
			{name: "publication", is: isAString, fallback: `"walpost"`, example: `"walpost"`, doc: "The publication that the slot reads."},
			{name: "messages", is: isAString, example: `"walpost"`, doc: "The prefix of logical messages (`pg_logical_emit_message`) that are events, too, beside the rows of the table. " +
				"They can't be recovered after the loss of the slot. Default: none are."},
			{name: "poll_interval", is: isADuration, fallback: `"1s"`, example: `"200ms"`, doc: "When polling: the longest time between two looks at the table. A `NOTIFY walpost_outbox` makes walpost look at once."},
			{name: "start", is: isAString, fallback: `"now"`, example: `"backlog"`, doc: "What the very first start begins with: `\"now\"`, what is committed after the slot was made (by `walpost init` or `walpost run`); " +
				"`\"backlog\"`, all rows that are in the table, then what follows. Later starts go on from the checkpoint."},
			{name: "retention", is: "duration, or `\"never\"`", fallback: `"never"`, example: `"24h"`, doc: "How long rows stay after they are resolved; then walpost deletes them, also those that were there before it. `\"never\"`: it deletes none. [Retention](retention.md) tells how."},
			{name: "max_payload", is: isASize, fallback: `"16MiB"`, example: `"4MiB"`, doc: "An event with a larger payload is quarantined."},
		},
		blocks: []string{"columns"},
	},
	"outbox.columns": {
		doc: "The columns of an existing outbox, by what walpost calls them.",
		arguments: []argument{
			{name: "id", is: isAString, fallback: `"id"`, example: `"event_id"`, doc: "The event's id, unique for ever."},
			{name: "aggregate_type", is: isAString, fallback: `"aggregate_type"`, example: `"aggregatetype"`, doc: "The kind of thing that it happened to."},
			{name: "aggregate_id", is: isAString, fallback: `"aggregate_id"`, example: `"aggregateid"`, doc: "The thing that it happened to."},
			{name: "event_type", is: isAString, fallback: `"event_type"`, example: `"type"`, doc: "What happened."},
			{name: "payload", is: isAString, fallback: `"payload"`, example: `"data"`, doc: "A JSON object."},
			{name: "headers", is: isAString, fallback: `"headers"`, example: `"-"`, doc: "A JSON object; `\"-\"`: the table has none."},
			{name: "created_at", is: isAString, fallback: `"created_at"`, example: `"-"`, doc: "A time; `\"-\"`: the table has none."},
		},
	},
	"ledger": {
		doc: "What walpost keeps in the `walpost` schema, and for how long.",
		arguments: []argument{
			{name: "record", is: isAString, fallback: `"failures"`, example: `"all"`, doc: "`\"failures\"` keeps what was not delivered at the first attempt; `\"all\"` keeps every delivery."},
			{name: "retention", is: isADuration, fallback: `"7d"`, example: `"14d"`, doc: "How long finished deliveries are kept."},
			{name: "hold", is: isADuration, fallback: `"7d"`, example: `"30d"`, doc: "How long deliveries of a disabled webhook stay parked; then they are cancelled, and kept for `retention`."},
		},
	},
	"admin": {
		doc: "The listener of the admin API: health, status and reload. Without the block there is none.",
		arguments: []argument{
			{name: "listen", is: isAString, example: `"127.0.0.1:8710"`, required: true, doc: "Host and port."},
			{name: "token", is: isAString, example: `env("WALPOST_ADMIN_TOKEN")`, secret: true, doc: "Bearer token. It may be left out only where no other machine can reach the address."},
		},
	},
	"egress": {
		doc: "Which addresses webhooks may be sent to, beside public ones. `allow` wins over `deny`.",
		arguments: []argument{
			{name: "allow", is: isStrings, fallback: `[]`, example: `["10.1.2.3", "10.2.0.0/16"]`, doc: "Private networks that may be reached."},
			{name: "deny", is: isStrings, fallback: `[]`, example: `["203.0.113.0/24"]`, doc: "Networks that may not."},
		},
	},
	"locals": {
		doc: "Named expressions: `name = expression` here, `local.name` in expressions. They are evaluated where they are used, with the event that is there. " +
			"A local can use the other ones, but not itself.",
		several: true, free: true,
	},
	"defaults": {
		doc:       "What holds for every webhook that doesn't say otherwise. `headers` of both are sent, as if they were written in the webhook; its own win.",
		arguments: sharedArguments,
	},
	"topic": {
		label: "name", doc: "A topic of your own, beside those of the pack.", several: true,
		arguments: []argument{
			{name: "title", is: isAString, example: `"Invoice paid"`, doc: "For people. Default: the name."},
			{name: "description", is: isAString, example: `"An invoice is paid"`, doc: "When it happens."},
			{name: "aggregate", is: isAString, example: `"invoice"`, doc: "The kind of thing that it happens to. Default: the name's first part."},
			{name: "event_types", is: isStrings, example: `["invoice.paid"]`, doc: "Rows whose `event_type`, or whose `aggregate_type` and `event_type` with a dot between, is one of these get the topic. " +
				"Default: the topic's name. `[]`: only rules give it."},
		},
	},
	"rule": {
		label: "name", doc: "Gives a topic to rows that need a closer look, and shapes their data. Every rule that matches applies.", several: true,
		arguments: []argument{
			{name: "when", is: isABool, example: `event.type == "signed_up"`, sees: seesEvent, doc: "Whether the rule matches. Null is no. Default: always."},
			{name: "topic", is: isAString, example: `"lead.created"`, required: true, doc: "The topic that it gives."},
			{name: "data", is: isAnObject, example: `{ contact = event.payload.contact }`, sees: seesEvent, doc: "What webhooks see as `event.data`. Default: `event.payload`."},
		},
	},
	"webhook": {
		label: "name", doc: "Which topics go to which URL, and how.", several: true,
		arguments: slices.Concat(webhookArguments, sharedArguments),
		blocks:    []string{"locals", "batch", "capture", "auth", "sign"},
	},
	"webhook.locals": {
		doc:     "The webhook's own locals. They shadow top-level ones of the same name.",
		several: true, free: true,
	},
	"webhook.batch":           batchShape,
	"webhook.capture":         captureShape,
	"webhook.auth":            {label: ofKind, doc: "Who the webhook is to the endpoint. The label is the kind. It makes the `Authorization` header."},
	"webhook.auth.oauth2":     oauth2Shape,
	"webhook.auth.jwt_bearer": jwtBearerShape,
	"webhook.auth.basic":      basicShape,
	"webhook.auth.bearer":     bearerShape,
	"webhook.sign":            signShape,
	"test":                    testShape,
	"test.event":              testEventShape,
	"test.response":           testResponseShape,
	"test.expect":             expectShape,
}
