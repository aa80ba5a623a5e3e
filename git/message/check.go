package message

import (
	"fmt"
	"slices"
	"text/template/parse"
)

// functions are what templates can call: nothing that goes through something, nothing that grows without a bound. Of those that
// the library has besides, js doubles a text whenever it is called, and call, html and urlquery are of no use here.
var functions = []string{"and", "or", "not", "len", "index", "slice", "eq", "ne", "lt", "le", "gt", "ge", "print", "println", "printf"}

// checker goes through a template before it is executed, refuses what has no bound, and puts the function shown behind what is
// printed. An execution cannot be stopped from outside, so all that it can do is counted here.
type checker struct {
	steps int
	loop  bool
}

func (c *checker) check(n parse.Node, turns int) error {
	if c.steps += turns; c.steps > maxSteps {
		return errSteps
	}
	switch n := n.(type) {
	case *parse.ListNode:
		return c.list(n, turns)
	case *parse.ActionNode:
		return c.action(n, turns)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, turns)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, turns)
	case *parse.RangeNode:
		return c.rangeOver(n, turns)
	case *parse.PipeNode:
		return c.pipe(n, turns)
	case *parse.ChainNode:
		return c.check(n.Node, turns)
	case *parse.IdentifierNode:
		if !slices.Contains(functions, n.Ident) {
			return fmt.Errorf("the function %s is not available: those are and, or, not, len, index, slice, eq, ne, lt, le, gt, ge, print, println and printf", cut(n.Ident, 64))
		}
		return nil
	case *parse.TemplateNode:
		return errTemplates
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode, *parse.DotNode, *parse.NilNode,
		*parse.FieldNode, *parse.VariableNode, *parse.BoolNode, *parse.NumberNode, *parse.StringNode:
		return nil
	}
	return fmt.Errorf("%.64q is not available: use simpler means", n.String())
}

func (c *checker) list(n *parse.ListNode, turns int) error {
	if n == nil { // no else
		return nil
	}
	for _, child := range n.Nodes {
		if err := c.check(child, turns); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) pipe(n *parse.PipeNode, turns int) error {
	for _, command := range n.Cmds {
		for _, arg := range command.Args {
			if err := c.check(arg, turns); err != nil {
				return err
			}
		}
	}
	return nil
}

// action makes an output pass through shown. One that sets a variable prints nothing.
func (c *checker) action(n *parse.ActionNode, turns int) error {
	if err := c.pipe(n.Pipe, turns); err != nil || len(n.Pipe.Decl) > 0 {
		return err
	}
	name := parse.NewIdentifier(shown).SetPos(n.Pos)
	n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{name}})
	return nil
}

func (c *checker) branch(n *parse.BranchNode, turns int) error {
	if err := c.pipe(n.Pipe, turns); err != nil {
		return err
	}
	if err := c.list(n.List, turns); err != nil {
		return err
	}
	return c.list(n.ElseList, turns)
}

// rangeOver allows loops over the one list that there is: nothing but Data has a field of that name.
func (c *checker) rangeOver(n *parse.RangeNode, turns int) error {
	if c.loop || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
		return errRange
	}
	switch over := n.Pipe.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		if !slices.Equal(over.Ident, []string{"Origins"}) {
			return errRange
		}
	case *parse.VariableNode:
		if !slices.Equal(over.Ident, []string{"$", "Origins"}) {
			return errRange
		}
	default:
		return errRange
	}
	c.loop = true
	err := c.list(n.List, turns*maxOrigins)
	c.loop = false
	if err != nil {
		return err
	}
	return c.list(n.ElseList, turns)
}
