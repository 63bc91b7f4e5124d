package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a suffix and what it stands for, in nanoseconds or bytes.
type unit struct {
	suffix string
	amount int64
}

// durationUnits and sizeUnits are in falling order, for formatting.
var (
	durationUnits = []unit{
		{"d", int64(24 * time.Hour)},
		{"h", int64(time.Hour)},
		{"m", int64(time.Minute)},
		{"s", int64(time.Second)},
		{"ms", int64(time.Millisecond)},
	}
	sizeUnits = []unit{
		{"GiB", 1 << 30},
		{"GB", 1e9},
		{"MiB", 1 << 20},
		{"MB", 1e6},
		{"KiB", 1 << 10},
		{"KB", 1e3},
		{"kB", 1e3},
		{"B", 1},
	}
)

// parseDuration reads whole numbers with the units d, h, m, s and ms: "1h30m".
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	total := int64(0)
	for rest := s; rest != "" || s == ""; {
		n, u, after, err := parseAmount(rest, durationUnits)
		if err != nil {
			return 0, err
		}
		if n > (math.MaxInt64-total)/u.amount {
			return 0, errors.New("it is too long")
		}
		total += n * u.amount
		rest = after
	}
	return time.Duration(total), nil
}

// parseSize reads a whole number with one unit: "16MiB".
func parseSize(s string) (int64, error) {
	n, u, after, err := parseAmount(s, sizeUnits)
	switch {
	case err != nil:
		return 0, err
	case after != "":
		return 0, fmt.Errorf("%q comes after it", after)
	case n > math.MaxInt64/u.amount:
		return 0, errors.New("it is too large")
	}
	return n * u.amount, nil
}

// parseAmount reads a whole number and the unit after it.
func parseAmount(s string, units []unit) (n int64, u unit, after string, err error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == 0 {
		return 0, unit{}, "", errors.New("a whole number is missing")
	}
	if n, err = strconv.ParseInt(s[:digits], 10, 64); err != nil {
		return 0, unit{}, "", errors.New("the number is too large")
	}
	word := s[digits:]
	if end := strings.IndexAny(word, "0123456789"); end >= 0 {
		word = word[:end]
	}
	for _, u := range units {
		if strings.TrimSpace(word) == u.suffix {
			return n, u, s[digits+len(word):], nil
		}
	}
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.suffix
	}
	if word == "" {
		return 0, unit{}, "", fmt.Errorf("the unit is missing (%s)", strings.Join(names, ", "))
	}
	return 0, unit{}, "", fmt.Errorf("%q is no unit (%s)", word, strings.Join(names, ", "))
}

func formatDuration(d time.Duration) string {
	return formatAmount(int64(d), durationUnits)
}

func formatSize(n int64) string { return formatAmount(n, sizeUnits) }

// formatAmount writes an amount in the largest unit that divides it.
func formatAmount(n int64, units []unit) string {
	for _, u := range units {
		if n != 0 && n%u.amount == 0 {
			return fmt.Sprintf("%d%s", n/u.amount, u.suffix)
		}
	}
	return fmt.Sprintf("%d%s", n, units[len(units)-1].suffix)
}
