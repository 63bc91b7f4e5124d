package cli

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"connect: postgres://app:hunter2@db:5432/app: refused":      "connect: postgres://app:(secret)@db:5432/app: refused",
		"postgresql://app:hun@ter/2@db/app":                         "postgresql://app:(secret)@db/app",
		"POSTGRES://app:hunter2@db":                                 "POSTGRES://app:(secret)@db",
		"host=db password=hunter2 user=app":                         "host=db password=(secret) user=app",
		`host=db password = 'hun\'ter 2' user=app`:                  "host=db password = (secret) user=app",
		"cannot parse `host=db password=hunter2`":                   "cannot parse `host=db password=(secret)`",
		"postgres://db/app?user=a&password=hunter2&sslmode=disable": "postgres://db/app?user=a&password=(secret)&sslmode=disable",
		"sslpassword=hunter2":                                       "sslpassword=(secret)",
		"postgres://app@db/app":                                     "postgres://app@db/app",
		`password authentication failed for user "app"`:             `password authentication failed for user "app"`,
		"correct user and password in database.url":                 "correct user and password in database.url",
	} {
		var out strings.Builder
		if _, err := (&redactor{to: &out}).Write([]byte(given)); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s\n gives %s\n not   %s", given, out.String(), want)
		}
	}
}
