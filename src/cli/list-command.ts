import type { Command } from 'commander'
import { examples, type GlobalOptions, globalOptions } from './global-options.ts'
import { printResult } from './output/print-result.ts'
import { type Column, table } from './output/table.ts'

export interface ListCommand<Row, Options> {
  /** The plural of the noun; also the key in JSON. */
  readonly noun: string
  readonly description: string
  readonly examples: readonly string[]
  readonly columns: (rows: readonly Row[]) => readonly Column<Row>[]
  readonly find: (options: Options, globals: GlobalOptions) => Promise<readonly Row[]>
  /** Converts a row for `--json`. Default: leaves the row unchanged. */
  readonly data?: (row: Row) => object
}

/** Adds the command `list` to a noun. The command prints the rows of `find` as a table, or as JSON. The caller adds the options. */
export function addList<Row extends object, Options extends object>(
  group: Command,
  { noun, description, examples: lines, columns, find, data = (row) => row }: ListCommand<Row, Options>,
): Command {
  return group
    .command('list')
    .description(description)
    .addHelpText('after', examples(lines))
    .action(async (options: Options, command: Command) => {
      const globals = globalOptions(command)
      const found = await find(options, globals)
      printResult(globals.json, { [noun]: found.map(data) }, () =>
        found.length === 0 ? `no ${noun}` : table(columns(found), found),
      )
    })
}
