import type { Command } from 'commander'

/** Options of every command. */
export interface GlobalOptions {
  readonly json: boolean
  readonly settings: string | undefined
  /** Why the command changes something. */
  readonly reason: string | undefined
}

export function addGlobalOptions(program: Command): void {
  program
    .option('--json', 'write JSON to standard output, one line per result, and errors as JSON to standard error')
    .option('--url <address>', 'address of a node to ask, instead of the database; default: PIKO_URL')
    .option(
      '--token <token>',
      'token for that node; prefer the variable PIKO_TOKEN, because others can see command lines',
    )
    .option('--settings <file>', 'settings file; default: PIKO_SETTINGS_PATH, otherwise settings.toml if it exists')
    .option('--reason <text>', 'the reason for the change, which the audit stores')
}

export function globalOptions(command: Command): GlobalOptions {
  const { json = false, settings, reason } = command.optsWithGlobals<Partial<GlobalOptions>>()
  return { json, settings, reason }
}

/** Formats the examples at the end of a help text. */
export function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
