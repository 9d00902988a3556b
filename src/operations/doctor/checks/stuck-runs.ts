import { counted } from '../../../counted.ts'
import type { StuckRun } from '../../../store/doctor/run-facts.ts'
import { check } from '../check.ts'
import { type Finding, namesText, spanText } from '../finding.ts'

/** How long a run may be without a live node. Every recovery takes less time. */
const ORPHANED_MS = 120_000
const CANCELLED_MS = 300_000
const LONG_MS = 24 * 3_600_000

/** Finds runs that no longer make progress. */
export const stuckRuns = check({
  id: 'stuck-runs',
  needs: ['runs'],
  find: ({ runs: { orphans, cancelled, running } }) => [
    ...found(orphans, ORPHANED_MS, {
      id: 'stuck-runs.orphan',
      severity: 'error',
      what: 'running on a node that is gone, and no node has recovered it',
      remedy: () => 'start a node, which recovers them within a lease: piko start',
    }),
    ...found(cancelled, CANCELLED_MS, {
      id: 'stuck-runs.cancelled',
      severity: 'warning',
      what: 'still running although its cancel was requested: its handler ignores ctx.signal, or its node hangs',
      remedy: (run) => `find its node with: piko runs show ${run.id}; then restart that node`,
    }),
    ...found(running, LONG_MS, {
      id: 'stuck-runs.long',
      severity: 'warning',
      what: 'running for a day or longer',
      remedy: (run) => `piko runs logs ${run.id}; if it hangs: piko runs cancel ${run.id}; and give the job a timeout`,
    }),
  ],
})

interface Words extends Pick<Finding, 'id' | 'severity'> {
  readonly what: string
  readonly remedy: (run: StuckRun) => string
}

function found(runs: readonly StuckRun[], fromMs: number, { id, severity, what, remedy }: Words): Finding[] {
  const old = runs.filter(({ forMs }) => forMs >= fromMs).sort((one, other) => other.forMs - one.forMs)
  const [oldest] = old
  if (!oldest) return []
  const names = namesText(old.map((run) => `${run.jobId} ${run.id}`))
  return [
    {
      ...{ id, severity },
      found: `${counted(old.length, 'run')} (${names}), the longest for ${spanText(oldest.forMs)}: ${what}`,
      remedy: remedy(oldest),
    },
  ]
}
