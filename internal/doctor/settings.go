package doctor

import "strconv"

// settings are the server's, by name.
type settings map[string]setting

// setting is a row of pg_settings.
type setting struct {
	Value   string `json:"value"`
	Unit    string `json:"unit"`
	Reset   string `json:"reset"`   // what the session began with
	Pending bool   `json:"pending"` // another value waits for a restart
}

func (x *exam) settings() (settings, error) {
	s, err := ask[settings](x, byReplication, "settings")
	if err != nil {
		return nil, err
	}
	return *s, nil
}

// text is a setting's value, and whether the server has it.
func (s settings) text(name string) (string, bool) {
	v, there := s[name]
	return v.Value, there
}

// number is a setting in its unit.
func (s settings) number(name string) (n int64, there bool) {
	v, there := s[name]
	if !there {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	return n, err == nil
}

// bytes is a setting that is a size.
func (s settings) bytes(name string) (n int64, there bool) {
	n, there = s.number(name)
	if n < 0 {
		return n, there
	}
	switch s[name].Unit {
	case "kB":
		n <<= 10
	case "8kB":
		n <<= 13
	case "MB":
		n <<= 20
	}
	return n, there
}

// seconds is a setting that is a duration.
func (s settings) seconds(name string) (seconds float64, there bool) {
	n, there := s.number(name)
	switch s[name].Unit {
	case "ms":
		return float64(n) / 1000, there
	case "min":
		return float64(n) * 60, there
	}
	return float64(n), there
}

// pending says that a changed setting waits for the restart.
func (s settings) pending(name string) string {
	if s[name].Pending {
		return " (another value waits for the server's restart)"
	}
	return ""
}
