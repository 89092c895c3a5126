// Argolua runs a Lua script as Argo CD runs its resource customizations, without Argo CD.
//
// It reads {"script": "...", "obj": {...}} from standard input and prints what the script returns as JSON. As in Argo CD
// there are base, package and table libraries; `os` must be asked for with require and has four functions; there is
// no `string`. It does not know Argo CD's clean-up of returned objects, its discovery or its list of health codes:
// `make test-argocd` asks the real one the same questions.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

const limit = time.Second // Argo CD's own

type request struct {
	Script string `json:"script"`
	Obj    any    `json:"obj"`
}

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	openLibraries(state)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", luajson.DecodeValue(state, asked.Obj))
	if err := state.DoString(asked.Script); err != nil {
		return err
	}
	returned := state.Get(-1)
	if returned.Type() != lua.LTTable {
		return fmt.Errorf("expect table output from Lua script, not %s", returned.Type())
	}
	encoded, err := luajson.Encode(returned)
	if err != nil {
		return err
	}
	fmt.Println(string(encoded))
	return nil
}

func openLibraries(state *lua.LState) {
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, lua.OpenOs},
	} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	everything := state.GetGlobal(lua.OsLibName).(*lua.LTable)
	state.SetGlobal(lua.OsLibName, lua.LNil)
	state.SetField(state.GetField(state.Get(lua.RegistryIndex), "_LOADED"), lua.OsLibName, lua.LNil)
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		module := state.NewTable()
		for _, name := range []string{"time", "date", "difftime", "clock"} {
			module.RawSetString(name, everything.RawGetString(name))
		}
		state.Push(module)
		return 1
	})
}
