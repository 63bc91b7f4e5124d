package cli

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/ruletest"
)

// The elements of a JUnit report that CI systems read
// (https://github.com/testmoapp/junitxml).
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Time     string     `xml:"time,attr"` // seconds
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr"`
		Line      string        `xml:"line,attr,omitempty"`
		Time      string        `xml:"time,attr"`
		Failure   *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junitReport gives the report as XML.
func junitReport(d testsDocument, took time.Duration) ([]byte, error) {
	suite := junitSuite{Name: "walpost", Tests: len(d.Tests), Failures: d.Failed, Time: inSeconds(took)}
	for _, r := range d.Tests {
		suite.Cases = append(suite.Cases, newJUnitCase(r))
	}
	text, err := xml.MarshalIndent(junitSuites{
		Tests: suite.Tests, Failures: suite.Failures, Time: suite.Time, Suite: suite,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(append([]byte(xml.Header), text...), '\n'), nil
}

func newJUnitCase(r ruletest.Result) junitCase {
	c := junitCase{Name: r.Name, ClassName: "walpost", File: r.Where, Time: inSeconds(r.Duration)}
	if i := strings.LastIndexByte(r.Where, ':'); i >= 0 {
		c.File, c.Line = r.Where[:i], r.Where[i+1:]
	}
	if r.Passed {
		return c
	}
	var text strings.Builder
	for _, f := range r.Failures {
		text.WriteString(f.Where + ": " + f.Summary + "\n" + f.Diff)
	}
	first, _, _ := strings.Cut(r.Failures[0].Summary, "\n")
	c.Failure = &junitFailure{Message: first, Text: text.String()}
	return c
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
