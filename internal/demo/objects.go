package demo

// The objects of the sample application, in the shape in which its payloads carry them. Times are
// Unix seconds, as in Gist's API.

type contact struct {
	ID               int64          `json:"id"`
	Type             string         `json:"type"` // user | lead
	UserID           *string        `json:"user_id,omitempty"`
	Name             string         `json:"name"`
	Email            *string        `json:"email"`
	Source           *string        `json:"source"`
	Unsubscribed     bool           `json:"unsubscribed_from_emails"`
	CustomProperties map[string]any `json:"custom_properties"`
	Tags             []tag          `json:"tags"`
	SignedUpAt       *int64         `json:"signed_up_at,omitempty"`
	CreatedAt        int64          `json:"created_at"`
}

type tag struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type teammate struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

type assignee struct {
	ID   int64  `json:"id"`
	Type string `json:"type"` // teammate | team
	Name string `json:"name"`
}

type conversation struct {
	ID        int64     `json:"id"`
	Title     string    `json:"title"`
	State     string    `json:"state"` // open | closed | snoozed
	Assignee  *assignee `json:"assignee"`
	Contacts  []ref     `json:"contacts"`
	CreatedAt int64     `json:"created_at"`
}

// ref names another object by its id.
type ref struct {
	ID int64 `json:"id"`
}

type message struct {
	ID        int64  `json:"id"`
	Type      string `json:"message_type"` // reply | note
	Body      string `json:"body"`
	Author    author `json:"author"`
	CreatedAt int64  `json:"created_at"`
}

type author struct {
	ID   int64  `json:"id"`
	Type string `json:"type"` // contact | teammate
	Name string `json:"name"`
}

type rating struct {
	Rating    int    `json:"rating"` // 1 to 5
	Remark    string `json:"remark"`
	CreatedAt int64  `json:"created_at"`
}

type campaign struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type subscription struct {
	Status    string `json:"status"` // subscribed | unsubscribed
	ChangedAt int64  `json:"changed_at"`
}

type performedEvent struct {
	Name       string         `json:"event_name"`
	Properties map[string]any `json:"properties"`
	OccurredAt int64          `json:"occurred_at"`
}

type form struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
	Type  string `json:"form_type"`
}

type submission struct {
	ID          int64             `json:"id"`
	Fields      map[string]string `json:"fields"`
	PageURL     string            `json:"page_url"`
	SubmittedAt int64             `json:"submitted_at"`
}

type pageVisit struct {
	URL       string `json:"url"`
	Title     string `json:"title"`
	Referrer  string `json:"referrer"`
	VisitedAt int64  `json:"visited_at"`
}

type meeting struct {
	ID                 int64   `json:"id"`
	Title              string  `json:"title"`
	Status             string  `json:"status"` // scheduled | cancelled
	StartAt            int64   `json:"start_at"`
	EndAt              int64   `json:"end_at"`
	PreviousStartAt    *int64  `json:"previous_start_at,omitempty"`
	PreviousEndAt      *int64  `json:"previous_end_at,omitempty"`
	Timezone           string  `json:"timezone"`
	Location           string  `json:"location"`
	JoinURL            string  `json:"join_url"`
	CancelledAt        *int64  `json:"cancelled_at,omitempty"`
	CancellationReason *string `json:"cancellation_reason,omitempty"`
}
