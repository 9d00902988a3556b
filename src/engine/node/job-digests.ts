import { createHash } from 'node:crypto'
import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { mapInTurns } from '../../loop-turn.ts'
import type { JobDigests } from '../../store/nodes/node-store.ts'

const DIGEST_LENGTH = 12

/** A digest of each of this process's jobs, by id. Other nodes and `piko doctor` compare them. */
export async function jobDigests(registry: JobRegistry): Promise<JobDigests> {
  const digests = await mapInTurns([...registry], (job) => [job.id, digestOf(job)] as const)
  return Object.fromEntries(digests)
}

/** Changes with the job's options and with the source of its handler. Code that the handler calls has no effect. */
function digestOf({ id, policy, handler }: JobDefinition): string {
  const hash = createHash('sha256')
  hash.update(optionsText(policy) ?? id).update(String(handler))
  return hash.digest('hex').slice(0, DIGEST_LENGTH)
}

/** The options as JSON; undefined if a user's object among them can't be written as JSON. */
function optionsText(policy: object): string | undefined {
  try {
    return JSON.stringify(policy, (_key, value: unknown) => (typeof value === 'function' ? String(value) : value))
  } catch {
    return undefined
  }
}
