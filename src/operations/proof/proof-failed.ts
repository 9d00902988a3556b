import { PikoError } from '../../errors.ts'
import type { Certificate } from './certificate.ts'

const MAX_NAMED = 5

/** Creates the error of a proof that found problems. It names the first ones. */
export function proofFailed({ jobId, findings, findingsTotal }: Certificate): PikoError {
  const named = findings
    .slice(0, MAX_NAMED)
    .map(({ kind, message, repair }) => `${kind}: ${message}; repair: ${repair}`)
  const more = findingsTotal > named.length ? [`and ${findingsTotal - named.length} more`] : []
  return new PikoError(
    'PROOF_FAILED',
    `the ledger of job "${jobId}" has ${findingsTotal} ${findingsTotal === 1 ? 'finding' : 'findings'}:\n${[...named, ...more].join('\n')}`,
    { details: { jobId, findings: findingsTotal } },
  )
}
