// Renders a Helm chart like `helm template`, for machines without helm: Go's text/template with sprig, and the functions
// that Helm adds, as its documentation ("Template Functions and Pipelines", "Built-in Objects") describes them.
//
//	chart FOLDER RELEASE NAMESPACE <values      (YAML, already merged)
//
// Prints every template's output, NOTES.txt last, each after a line "# Source: NAME".
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

func try(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type files struct{ folder string }

// Get returns "" for a file that does not exist, like Helm.
func (f files) Get(name string) string {
	text, _ := os.ReadFile(filepath.Join(f.folder, name))
	return string(text)
}

func toYaml(value interface{}) string {
	out, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(out), "\n")
}

func fromYaml(text string) map[string]interface{} {
	out := map[string]interface{}{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		out["Error"] = err.Error()
	}
	return out
}

func required(message string, value interface{}) (interface{}, error) {
	if value == nil || value == "" {
		return nil, fmt.Errorf("%s", message)
	}
	return value, nil
}

func main() {
	folder := os.Args[1]
	text, err := io.ReadAll(os.Stdin)
	try(err)
	values := map[string]interface{}{}
	try(yaml.Unmarshal(text, &values))
	text, err = os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	try(err)
	chart := map[string]interface{}{}
	try(yaml.Unmarshal(text, &chart))

	top := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv"} { // Helm removes these
		delete(functions, name)
	}
	functions["toYaml"], functions["fromYaml"], functions["required"] = toYaml, fromYaml, required
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := top.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	top.Funcs(functions)
	names, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	try(err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		try(err)
		_, err = top.New(filepath.Base(name)).Parse(string(text))
		try(err)
	}
	data := map[string]interface{}{
		"Values":  values,
		"Chart":   map[string]interface{}{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": map[string]interface{}{"Name": os.Args[2], "Namespace": os.Args[3], "Service": "Helm"},
		"Files":   files{folder},
	}
	sort.Slice(names, func(i, j int) bool {
		return !strings.HasSuffix(names[i], ".txt") && (strings.HasSuffix(names[j], ".txt") || names[i] < names[j])
	})
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		var out strings.Builder
		try(top.ExecuteTemplate(&out, filepath.Base(name), data))
		fmt.Printf("---\n# Source: %s\n%s\n", filepath.Base(name), strings.ReplaceAll(out.String(), "<no value>", ""))
	}
}
