// SPDX-License-Identifier: GPL-2.0-or-later

// step-ca itself, linked from the distribution's library package, which ships everything but a main.
package main

import (
	"fmt"
	"os"

	_ "github.com/smallstep/certificates/cas/softcas"
	"github.com/smallstep/certificates/commands"
	"github.com/urfave/cli"
)

func main() {
	app := cli.NewApp()
	app.Name = "step-ca"
	app.Action = commands.AppCommand.Action
	app.Flags = commands.AppCommand.Flags
	if err := app.Run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
