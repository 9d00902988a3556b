import { basename } from 'node:path'
import { moduleFile } from '../module-file.ts'
import type { OffloadPool } from '../offload-pool.ts'
import { moduleHash } from './module-hash.ts'

/** A call in the form that is sent to another node. */
export interface FleetCall {
  /** The SHA-256 of the module; see `moduleHash`. */
  readonly hash: string
  /** The name of the module's file, for messages. */
  readonly file: string
  readonly name: string
  /** The arguments, encoded by `encoded` of travel.ts. */
  readonly args: Buffer
  readonly priority: number
  readonly timeoutMs: number | undefined
}

/** The result of a call on another node. */
export type FleetAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly error: unknown }
  /** The node has no free thread any more. */
  | { readonly kind: 'busy' }
  /** The node does not have this version of the module. */
  | { readonly kind: 'refused'; readonly why: string }
  /** The node can't return the result, because it is a stream, too large, or can't be encoded. */
  | { readonly kind: 'kept' }
  /** The node, or the connection, ended before the answer arrived. */
  | { readonly kind: 'lost' }

/** The other nodes. */
export interface FleetNodes {
  /** Asks the nodes for the number of free threads in the pool with this name. `found` is called with each answer. */
  look(pool: string, found: (nodeId: string, free: number) => void): Promise<void>
  run(nodeId: string, call: FleetCall, signal: AbortSignal | undefined): Promise<FleetAnswer>
}

let nodes: FleetNodes | undefined

/**
 * Makes other nodes available to `offload(…, { on: 'fleet' })`.
 *
 * @returns a function that removes them again
 */
export function offerFleet(offered: FleetNodes): () => void {
  nodes = offered
  return () => {
    if (nodes === offered) nodes = undefined
  }
}

/** Returns the other nodes; undefined if none are available. */
export function fleetNodes(): FleetNodes | undefined {
  return nodes
}

const declared = new Map<string, { readonly url: URL; readonly pool: OffloadPool }>()

/** Allows other nodes to call the functions of a module in this process. */
export function declareFleetModule(url: URL, pool: OffloadPool): void {
  declared.set(url.href, { url, pool })
}

/** Returns the declared module with this hash, or why there is none. */
export function fleetModule(
  hash: string,
  name: string,
): { readonly file: string; readonly pool: OffloadPool } | { readonly problem: string } {
  const all = [...declared.values()].flatMap(({ url, pool }) => {
    const file = fileOf(url)
    return file === undefined ? [] : [{ file, pool }]
  })
  const found = all.find(({ file }) => moduleHash(file) === hash)
  if (found) return found
  const isKnown = all.some(({ file }) => basename(new URL(file).pathname) === name)
  return {
    problem: isKnown
      ? `it has another version of ${name}, of a file that this imports, or of Node.js`
      : `it has no module ${name} with on: 'fleet'`,
  }
}

function fileOf(url: URL): string | undefined {
  try {
    return moduleFile(url).href
  } catch {
    return undefined
  }
}
