import { durationText } from './format.ts'
import { go } from './router.ts'

export interface SparkRun {
  readonly id: number
  readonly state: string
  readonly startedAt?: string | undefined
  readonly finishedAt?: string | undefined
}

const BAR = 7
const GAP = 2
const HEIGHT = 26
const LEAST = 5

export function runMs({ startedAt, finishedAt }: SparkRun): number | undefined {
  if (startedAt === undefined || finishedAt === undefined) return undefined
  return Date.parse(finishedAt) - Date.parse(startedAt)
}

/**
 * The last runs, oldest first. A bar's height is the duration, its colour the state; a failed run has a cross above it. A click opens a
 * run. The keyboard can't reach the bars, so a page must also link to the last run.
 */
export function Sparkline({ runs, length }: { readonly runs: readonly SparkRun[]; readonly length: number }) {
  const longest = Math.max(1, ...runs.map((run) => runMs(run) ?? 0))
  const failed = runs.filter(({ state }) => state === 'failed').length
  const label = `last ${runs.length} ${runs.length === 1 ? 'run' : 'runs'}, ${failed === 0 ? 'none' : failed} failed`
  return (
    <svg class="spark" width={length * (BAR + GAP)} height={HEIGHT} role="img" aria-label={label}>
      {runs.map((run, index) => {
        const ms = runMs(run)
        const height = LEAST + ((ms ?? 0) / longest) * (HEIGHT - LEAST - 7)
        const x = (length - runs.length + index) * (BAR + GAP)
        return (
          <g key={run.id} class="spark-run" onClick={() => go(`/runs/${run.id}`)}>
            <title>{`run ${run.id}: ${run.state}${ms === undefined ? '' : ` in ${durationText(ms)}`}`}</title>
            <rect class={`fill-${run.state}`} x={x} y={HEIGHT - height} width={BAR} height={height} />
            {run.state === 'failed' && (
              <path class="spark-cross" d={`M${x + 1} ${HEIGHT - height - 6}l5 5m0 -5l-5 5`} />
            )}
          </g>
        )
      })}
    </svg>
  )
}
