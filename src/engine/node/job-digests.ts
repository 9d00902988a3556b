import { createHash } from 'node:crypto'
import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { mapInTurns } from '../../loop-turn.ts'
import type { JobDigests } from '../../store/nodes/node-store.ts'

const DIGEST_LENGTH = 12

/** Returns a digest of each job of this process, by id. Other nodes and `piko doctor` compare the digests. */
export async function jobDigests(registry: JobRegistry): Promise<JobDigests> {
  const digests = await mapInTurns([...registry], (job) => [job.id, digestOf(job)] as const)
  return Object.fromEntries(digests)
}

/**
 * Returns a digest that changes with the job's options and the source text of its handler. Functions that the handler calls are not
 * included.
 */
function digestOf({ id, policy, handler }: JobDefinition): string {
  const hash = createHash('sha256')
  hash.update(optionsText(policy) ?? id).update(String(handler))
  return hash.digest('hex').slice(0, DIGEST_LENGTH)
}

/** Returns the options as JSON; undefined if they contain an object that can't be converted to JSON. */
function optionsText(policy: object): string | undefined {
  try {
    return JSON.stringify(policy, (_key, value: unknown) => (typeof value === 'function' ? String(value) : value))
  } catch {
    return undefined
  }
}
