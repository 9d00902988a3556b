import pc from 'picocolors'
import { chart, type MonthlyMean } from './chart.ts'
import type { Comparison } from './verify.ts'

/** The result of one run of the demo; `--json` prints it unchanged. */
export interface Summary {
  readonly store: string
  readonly windows: {
    readonly total: number
    readonly succeeded: number
    readonly failed: number
    /** Windows that this process settled. */
    readonly run: number
    /** Windows that succeeded in other processes: earlier ones, or nodes that run at the same time. */
    readonly elsewhere: number
  }
  readonly failures: readonly { readonly window: string; readonly error: string }[]
  readonly rows: number
  readonly wallMs: number
  readonly windowsPerSecond: number
  readonly monthlyMeans: readonly MonthlyMean[]
  readonly comparisons: readonly Comparison[]
  readonly mismatches: readonly string[]
}

const colors = pc.createColors(process.stdout.isTTY && pc.isColorSupported)
const count = new Intl.NumberFormat('en')
const MAX_FAILURES = 10

/** The summary in words. */
export function report(summary: Summary): string {
  const { windows, failures, mismatches } = summary
  return [
    headline(summary),
    '',
    `  windows  ${count.format(windows.succeeded)} succeeded, ${count.format(windows.failed)} failed`,
    `  rows     ${count.format(summary.rows)}`,
    `  time     ${(summary.wallMs / 1_000).toFixed(2)} s, ${count.format(summary.windowsPerSecond)} windows/s`,
    '',
    '  mean temperature by month, 2012 to 2015',
    chart(summary.monthlyMeans, (bar, mean) =>
      mean < 8 ? colors.blue(bar) : mean < 15 ? colors.green(bar) : colors.yellow(bar),
    ),
    '',
    ...comparisonTable(summary.comparisons),
    '',
    ...failures.slice(0, MAX_FAILURES).map(({ window, error }) => colors.red(`window ${window} failed: ${error}`)),
    ...(failures.length > MAX_FAILURES ? [colors.red(`and ${failures.length - MAX_FAILURES} more`)] : []),
    ...(failures.length > 0 ? ['run the demo again to try these windows once more'] : []),
    ...(mismatches.length > 0
      ? mismatches.map((mismatch) => colors.red(`mismatch: ${mismatch}`))
      : [colors.green('verified: the table holds every day of the file, and none twice')]),
  ].join('\n')
}

function headline({ windows }: Summary): string {
  if (windows.run === 0)
    return `nothing to do: all ${count.format(windows.total)} windows had succeeded before; 0 windows run`
  const earlier = windows.elsewhere > 0 ? `; ${count.format(windows.elsewhere)} had succeeded before` : ''
  return `${count.format(windows.run)} windows run${earlier}`
}

function comparisonTable(comparisons: readonly Comparison[]): string[] {
  const line = (what: string, table: string, file: string): string =>
    `  ${what.padEnd(20)}${table.padStart(10)}${file.padStart(10)}`
  return [line('', 'table', 'file'), ...comparisons.map(({ what, table, file }) => line(what, table, file))]
}
