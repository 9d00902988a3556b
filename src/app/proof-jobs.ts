import { defineJob } from '../job/define-job.ts'
import type { JobRegistry } from '../job/registry.ts'
import type { JobDefinition } from '../job/spec.ts'
import type { Certificate } from '../operations/proof/certificate.ts'
import { proofFailed } from '../operations/proof/proof-failed.ts'

type Prove = (jobId: string, range: { readonly signal: AbortSignal }) => Promise<Certificate>

/** Returns the registry with additional jobs. For each job with a `proof` option, an additional job proves its ledger. */
export function withProofs(registry: JobRegistry, prove: Prove): JobRegistry {
  return registry.with([...registry].flatMap((job) => proofOf(job, prove) ?? []))
}

function proofOf({ id, policy }: JobDefinition, prove: Prove): JobDefinition | undefined {
  const { proof } = policy
  if (proof?.kind !== 'cron') return undefined
  const { cron, timezone, dst } = proof
  return defineJob(
    {
      ...{ id: `${id}:proof`, description: `Proves the ledger of ${id}`, overlap: 'skip' },
      ...{ cron, timezone, ...(dst !== undefined && { dst }) },
    },
    async ({ signal }): Promise<unknown> => {
      const certificate = await prove(id, { signal })
      if (!certificate.isProved) throw proofFailed(certificate)
      return certificate
    },
  )
}
