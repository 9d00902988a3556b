import type { Answer, Item } from '../shared/api.ts'
import { part } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'
import { type Action, says } from './action.tsx'

export type Node = Item<'nodes.list'>
export type Service = Answer<'services.tree'>['nodes'][number]
export type Limit = Item<'limits.list'>
export type Sink = Item<'sinks.list'>
export type Token = Item<'tokens.list'>

export function drainNode({ id, host, pid, running }: Node): Action {
  return {
    title: `Drain node ${host} (${pid})`,
    request: { method: 'POST', path: `/nodes/${part(id)}/drain` },
    cli: ['nodes', 'drain', id],
    preview: says(
      `The node begins no further runs. Its runs in progress (${running}) continue until they end; other nodes take new ones.`,
    ),
  }
}

/** @param name what people call the node. Default: its id */
export function resumeNode(id: string, name = id): Action {
  return {
    title: `Resume node ${name}`,
    request: { method: 'POST', path: `/nodes/${part(id)}/resume` },
    cli: ['nodes', 'resume', id],
    preview: says('The node begins runs again.'),
  }
}

/** @param on the node on which the service restarts. Undefined: all that have it */
export function restartService({ path, state }: Service, on: string | undefined): Action {
  const where = on === undefined ? 'on every node that has it, one after another' : 'on this node'
  return {
    title: `Restart ${path}`,
    request: { method: 'POST', path: `/services/${part(path)}/restart`, body: on === undefined ? {} : { on } },
    cli: ['services', 'restart', path, ...(on === undefined ? [] : ['--on', on])],
    preview: says(
      `The service is ${state} now. It stops and starts again ${where}, with the services below it. Runs that use it wait or fail in the meantime.`,
    ),
  }
}

export function resetLimit({ name, taken }: Limit): Action {
  return {
    title: `Reset the limit ${name}`,
    request: { method: 'POST', path: `/limits/${part(name)}/reset` },
    cli: ['limits', 'reset', name],
    preview: says(`It forgets the ${taken} calls that it has counted, so the next ones begin immediately.`),
  }
}

export function replayDead({ sink, deadRows }: Sink): Action {
  return {
    title: `Deliver ${numberText(deadRows)} refused rows of ${sink} again`,
    request: { method: 'POST', path: '/sinks/dead/replay', body: { sink } },
    cli: ['sinks', 'replay', sink],
    preview: says('Rows that the target accepts now leave the list. The others stay, with their new reason.'),
  }
}

export function dropDead({ sink, deadRows }: Sink): Action {
  return {
    title: `Delete ${numberText(deadRows)} refused rows of ${sink}`,
    request: { method: 'POST', path: '/sinks/dead/drop', body: { sink } },
    cli: ['sinks', 'drop', sink],
    preview: says('The rows are lost: nothing keeps them after this.'),
  }
}

export function revokeToken({ id, name }: Token): Action {
  return {
    title: `Revoke the token ${name}`,
    request: { method: 'DELETE', path: `/tokens/${part(id)}` },
    cli: ['tokens', 'revoke', id],
    preview: says('The token becomes permanently invalid on all nodes, and its sessions end.'),
  }
}
