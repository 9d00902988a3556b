import type { StepRecord } from '../../run/step.ts'
import { formatMs } from '../../time/duration.ts'
import { instantText } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'

/** The maximum number of steps in the text. A run may have thousands. */
const MAX_SHOWN = 100

/** Returns a step in the form that `--json` prints. */
export function stepData({ name, attempt, tries, ms, waitingSince, finishedAt }: StepRecord): object {
  return { name, attempt, tries, ms, waitingSince: waitingSince ?? null, finishedAt: finishedAt ?? null }
}

/** Returns the last 100 steps as text. */
export function stepsText(steps: readonly StepRecord[]): string {
  const hidden = steps.length - MAX_SHOWN
  const shown = table(COLUMNS, hidden > 0 ? steps.slice(hidden) : steps)
  return hidden > 0 ? `${hidden} earlier steps: see --json\n${shown}` : shown
}

export function stepsForgotten(count: number, isDry: boolean): string {
  const steps = `${count} ${count === 1 ? 'step' : 'steps'}`
  return isDry ? `${steps} would be forgotten` : `${steps} forgotten`
}

const COLUMNS: Column<StepRecord>[] = [
  { title: 'step', cell: ({ name }) => name },
  { title: 'attempt', cell: ({ attempt }) => String(attempt) },
  { title: 'tries', cell: ({ tries }) => String(tries) },
  { title: 'duration', cell: ({ ms }) => formatMs(ms) },
  {
    title: 'finished',
    cell: ({ finishedAt, waitingSince }) =>
      finishedAt ? instantText(finishedAt) : `waiting since ${instantText(waitingSince)}`,
  },
]
