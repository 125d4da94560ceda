// Server-side apply as the API server does it: the library is the server's own (structured-merge-diff), the list keys are
// those of the published OpenAPI schema (x-kubernetes-list-map-keys).
//
//	apply STATE MANAGER <configuration      (JSON)
//
// STATE holds {"object": ..., "managers": ...}; its object is owned by the manager "kubeadm" where it has no managers yet. Prints the new object.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/structured-merge-diff/fieldpath"
	"sigs.k8s.io/structured-merge-diff/merge"
	"sigs.k8s.io/structured-merge-diff/typed"
)

// Fields that are not named here have the default: maps are merged by key, lists are one value.
const schema = `types:
- {name: scalar, scalar: untyped}
- name: any
  scalar: untyped
  list: {elementType: {namedType: any}, elementRelationship: atomic}
  map: {elementType: {namedType: any}, elementRelationship: separable}
- name: daemonset
  map:
    elementType: {namedType: any}
    fields:
    - {name: spec, type: {namedType: spec}}
- name: spec
  map:
    elementType: {namedType: any}
    fields:
    - {name: template, type: {namedType: template}}
- name: template
  map:
    elementType: {namedType: any}
    fields:
    - {name: spec, type: {namedType: pod}}
- name: pod
  map:
    elementType: {namedType: any}
    fields:
    - name: containers
      type: {list: {elementType: {namedType: container}, elementRelationship: associative, keys: [name]}}
    - name: initContainers
      type: {list: {elementType: {namedType: container}, elementRelationship: associative, keys: [name]}}
    - name: volumes
      type: {list: {elementType: {namedType: any-map}, elementRelationship: associative, keys: [name]}}
- name: container
  map:
    elementType: {namedType: any}
    fields:
    - {name: name, type: {scalar: string}}
    - name: env
      type: {list: {elementType: {namedType: any-map}, elementRelationship: associative, keys: [name]}}
    - name: volumeMounts
      type: {list: {elementType: {namedType: any-map}, elementRelationship: associative, keys: [mountPath]}}
- name: any-map
  map: {elementType: {namedType: any}}
`

type state struct {
	Object   interface{}                `json:"object"`
	Managers map[string]json.RawMessage `json:"managers"`
}

type sameVersion struct{}

func (sameVersion) Convert(object *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) {
	return object, nil
}
func (sameVersion) IsMissingVersionError(error) bool { return false }

func try(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	path, manager := os.Args[1], os.Args[2]
	text, err := os.ReadFile(path)
	try(err)
	var before state
	try(json.Unmarshal(text, &before))
	configuration, err := io.ReadAll(os.Stdin)
	try(err)

	parser, err := typed.NewParser(typed.YAMLObject(schema))
	try(err)
	kind := parser.Type("daemonset")
	live, err := kind.FromUnstructured(before.Object)
	try(err)
	applied, err := kind.FromYAML(typed.YAMLObject(configuration))
	try(err)

	managers := fieldpath.ManagedFields{}
	for name, fields := range before.Managers {
		set := fieldpath.NewSet()
		try(set.FromJSON(strings.NewReader(string(fields))))
		managers[name] = fieldpath.NewVersionedSet(set, "v1", name != "kubeadm")
	}
	if len(managers) == 0 {
		set, err := live.ToFieldSet()
		try(err)
		managers["kubeadm"] = fieldpath.NewVersionedSet(set, "v1", false)
	}
	updater := merge.Updater{Converter: sameVersion{}}
	merged, managers, err := updater.Apply(live, applied, "v1", managers, manager, false)
	try(err)
	if merged == nil {
		merged = live
	}
	after := state{Object: merged.AsValue().Unstructured(), Managers: map[string]json.RawMessage{}}
	for name, fields := range managers {
		out, err := fields.Set().ToJSON()
		try(err)
		after.Managers[name] = out
	}
	out, err := json.Marshal(after)
	try(err)
	try(os.WriteFile(path, out, 0o644))
}
