package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = ".."

// module is the module's name, which begins every import path of its own packages.
const module = "postern"

// texts returns the path of every file of the repository that people write, by slashes and below the root. What git
// ignores (bin, profiles) and what Go leaves aside (hidden folders but .ci) is not there.
func texts(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative := filepath.ToSlash(strings.TrimPrefix(name, root+string(filepath.Separator)))
		base := path.Base(relative)
		if entry.IsDir() {
			if base == "bin" || base == "node_modules" || name != root && strings.HasPrefix(base, ".") && base != ".ci" {
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(base) {
		case ".go", ".c", ".h", ".md", ".yaml", ".yml", ".json", ".txtar", ".txt", ".sh", ".mod", ".conf", ".svg", "":
			files = append(files, relative)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files found below %s: the tree is not where this test looks", len(files), root)
	}
	return files
}

// read returns a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// source is one parsed Go file.
type source struct {
	file   string // below the root
	folder string // of its package, below the root
	test   bool
	set    *token.FileSet
	tree   *ast.File
}

// generated tells whether a tool wrote the file.
func (s source) generated() bool { return ast.IsGenerated(s.tree) }

// at is a place in the file, for messages.
func (s source) at(node ast.Node) token.Position {
	position := s.set.Position(node.Pos())
	position.Filename = s.file
	return position
}

// sources parses every Go file of every package, whatever system it is for. Files of hidden folders belong to no package.
func sources(t *testing.T) []source {
	t.Helper()
	var parsed []source
	set := token.NewFileSet()
	for _, file := range texts(t) {
		if path.Ext(file) != ".go" || strings.HasPrefix(file, ".") {
			continue
		}
		tree, err := parser.ParseFile(set, file, read(t, file), parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, source{file, path.Dir(file), strings.HasSuffix(file, "_test.go"), set, tree})
	}
	return parsed
}
