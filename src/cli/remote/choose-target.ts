import type { Command } from 'commander'
import { PikoError } from '../../errors.ts'
import { remoteTarget } from './target.ts'

/** Commands that work only on this machine or directly on the database. */
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
 * Decides whether a command sends its request to a node or to the database. `--url` takes precedence over `PIKO_URL`.
 *
 * @throws PikoError `USAGE` if the command can't work with a node
 */
export function chooseTarget(command: Command): void {
  const { url: asked, token, reason } = command.optsWithGlobals<{ url?: string; token?: string; reason?: string }>()
  const url = asked ?? textOf(process.env['PIKO_URL'])
  remoteTarget.set(undefined)
  // `graph` handles the address itself, because it has its own `--url`.
  if (url === undefined || command.name() === 'graph') return
  if (isLocal(command)) {
    // Local commands ignore `PIKO_URL`, because a shell sets it for all commands.
    if (asked === undefined) return
    throw new PikoError('USAGE', `${command.name()} works on this machine; leave out --url`)
  }
  remoteTarget.set({ url, token: token ?? textOf(process.env['PIKO_TOKEN']), reason })
}

function isLocal(command: Command): boolean {
  return LOCAL.has(command.name()) || (command.parent !== null && LOCAL.has(command.parent.name()))
}

/** Returns the value of an environment variable without surrounding spaces; undefined if it is empty. */
export function textOf(variable: string | undefined): string | undefined {
  const text = variable?.trim() ?? ''
  return text === '' ? undefined : text
}
