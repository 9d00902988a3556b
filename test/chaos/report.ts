import { type ChaosReport } from './chaos.ts'

/** The report for people. */
export function reportText(report: ChaosReport): string {
  const faults = Object.entries(report.faults).map(([kind, count]) => `${count} ${kind}`)
  const isGood = report.proofs.every(({ ok }) => ok)
  return [
    `Seed ${report.seed}. Faults: ${faults.join(', ')}.`,
    `${report.accepted} runs accepted, ${report.lost} late ends refused, ${report.crashes} processes ended unasked.`,
    '',
    ...report.proofs.map(({ claim, ok, found }) => `${ok ? 'holds ' : 'BROKEN'}  ${claim}: ${found}`),
    '',
    isGood ? 'Everything held.' : `Not everything held; the logs of the nodes: ${report.logs}`,
    '',
  ].join('\n')
}
