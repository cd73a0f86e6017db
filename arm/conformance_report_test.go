package arm_test

import (
	"fmt"
	"strings"
	"testing"
)

type conformanceRow struct {
	typ      string
	examples int
	counts   [differs + 1]int
}

func (r *conformanceRow) tried() int {
	sum := 0
	for _, count := range r.counts {
		sum += count
	}
	return sum
}

type conformanceReport struct {
	rows  []conformanceRow
	notes [differs + 1]strings.Builder
	left  strings.Builder // the examples that are not replayed
}

// maxReasons bounds what is said about one example.
const maxReasons = 6

func (r *conformanceReport) note(name string, how outcome, reasons []string) {
	if how == matches {
		return
	}
	b := &r.notes[how]
	fmt.Fprintf(b, "- `%s`\n", name)
	for _, reason := range reasons[:min(len(reasons), maxReasons)] {
		fmt.Fprintf(b, "  - %s\n", reason)
	}
	if more := len(reasons) - maxReasons; more > 0 {
		fmt.Fprintf(b, "  - and %d more\n", more)
	}
}

// unused fails for slips that no example needs.
func (r *conformanceReport) unused(t *testing.T) {
	for name, list := range slips {
		for i := range list {
			if !list[i].used {
				t.Errorf("%s does not differ in %s: take it out of slips", name, list[i].member)
			}
		}
	}
}

// String is docs/conformance.md.
func (r *conformanceReport) String() string {
	var table strings.Builder
	var all conformanceRow
	for _, row := range r.rows {
		fmt.Fprintf(&table, "| %s | %d | %d %s\n", row.typ, row.examples, row.tried(), row.cells(""))
		all.examples += row.examples
		for i, count := range row.counts {
			all.counts[i] += count
		}
	}
	fmt.Fprintf(&table, "| **together** | **%d** | **%d** %s\n", all.examples, all.tried(), all.cells("**"))
	return fmt.Sprintf(conformanceText, table.String(), r.notes[differs].String(), r.notes[without].String(), r.notes[selfDenied].String(),
		r.notes[impossible].String(), r.left.String())
}

func (r *conformanceRow) cells(around string) string {
	var b strings.Builder
	for _, count := range r.counts {
		fmt.Fprintf(&b, "| %s%d%s ", around, count, around)
	}
	return b.String() + "|"
}

const conformanceText = `# Conformance with the SDK's examples

Made by ` + "`go test ./arm -run TestConformance -update`" + `; the same test without ` + "`-update`" + ` compares.

Azure's Go SDK has example calls for each client in its own tests, each with a documented answer. The test reads them out
of the source of armnetwork v11 and armstorage v1, makes each call with the SDK's own client over HTTPS at Postern's door,
polls what is long-running, reads lists to their end, and compares what the client got with the documented answer.

Rules of the comparison:

- Ids are rewritten to one subscription, and what the examples put in braces to a name. Two regions of Azure's own tests,
  eastus2(stage) and northcentralus(stage), are rewritten to the pair eastus2 and centralus. What an example refers to is made first, in the example's region, with as little
  as it needs. For a get, a list or an update the documented answer itself is written first, so far as it can be. A documented
  answer may say who uses a resource: those NICs, subnets, VMs and gateways are made too. The service tags of an example
  are imported. A second region that is Live is that of an account whose backend both regions share; an account that cannot fail
  over has NFS 3.0; one whose SKU has changed was made with another.
- Every documented member must be answered with the same value. What Postern answers besides does not count, in objects and
  in the elements of a list's answer; the lists inside a resource must be as long as documented. A delete must remove.
- Of ids, etags, GUIDs, dates, and what the service chooses (addresses and prefixes of them, MACs, domain names, primaryLocation,
  secondaryLocation, principalId, clientId, tenantId, keys), only that there is one must match. Of a shared access signature
  all but the signature itself must match, of an address in a numbered storage zone all but the number.
- Names and types compare without case, regions in their short form. An empty list or text and an absent one are the same.
- The counts and limits of a subscription's usages are its own. Those of a VNet compare.
- Not replayed: calls about other types, which are in the same files, and those to network watchers that are not about the way
  of packets. They are listed at the end.

The columns:

- **match**: nothing differs.
- **own slips**: all matches but members for which the example contradicts its own request, or what Azure is known to
  answer. Each is listed below with its reason.
- **without**: matches once references to resources of types that Postern does not have (load balancers, service gateways, DDoS
  plans, keys in a vault …) are taken out of the request and of the documented answer.
- **impossible**: what is documented cannot be made in Azure either, which refuses it with the same code.
- **differ**: the rest.

| type | examples | replayed | match | own slips | without | impossible | differ |
|---|---|---|---|---|---|---|---|
%s
## What differs

"refused" is the code that the client got; "want" is the documented value.

%s
## What matches without references to types that are not there

%s
## What matches but for the example's own slips

%s
## What is impossible

%s
## What is not replayed

%s`
