import type { Command } from 'commander'
import { PikoError } from '../../errors.ts'
import { remoteTarget } from './target.ts'

/** Commands that are about this machine or the database itself. */
const LOCAL: ReadonlySet<string> = new Set([
  'start',
  'dev',
  'attach',
  'init',
  'migrate',
  'graph',
  'types',
  'try',
  'completion',
  'complete',
])

/**
 * Decides whether a command asks a node or the database. `--url` takes precedence over `PIKO_URL`.
 *
 * @throws PikoError `USAGE` if the command can't ask a node
 */
export function chooseTarget(command: Command): void {
  const { url: asked, token, reason } = command.optsWithGlobals<{ url?: string; token?: string; reason?: string }>()
  const url = asked ?? textOf(process.env['PIKO_URL'])
  remoteTarget.set(undefined)
  // `graph` has its own `--url`, so it handles the address itself.
  if (url === undefined || command.name() === 'graph') return
  if (isLocal(command)) {
    // The variable applies to all commands of a shell, so local commands ignore it.
    if (asked === undefined) return
    throw new PikoError('USAGE', `${command.name()} works on this machine; leave out --url`)
  }
  remoteTarget.set({ url, token: token ?? textOf(process.env['PIKO_TOKEN']), reason })
}

function isLocal(command: Command): boolean {
  return LOCAL.has(command.name()) || (command.parent !== null && LOCAL.has(command.parent.name()))
}

/** The text of a variable without the spaces around it; undefined if it is empty. */
export function textOf(variable: string | undefined): string | undefined {
  const text = variable?.trim() ?? ''
  return text === '' ? undefined : text
}
