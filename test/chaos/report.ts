import type { ChaosReport } from './chaos.ts'

/** The report as text for people. */
export function reportText(report: ChaosReport): string {
  const counted = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ')
  const isGood = report.proofs.every(({ ok }) => ok)
  return [
    `Seed ${report.seed}. Faults: ${counted(report.faults)}. Changes: ${counted(report.changes)}.`,
    `${report.accepted} runs accepted, ${report.lost} late ends refused, ${report.crashes} processes ended unasked.`,
    '',
    ...report.proofs.map(({ claim, ok, found }) => `${ok ? 'holds ' : 'BROKEN'}  ${claim}: ${found}`),
    '',
    isGood ? 'Everything held.' : `Not everything held; the logs of the nodes: ${report.logs}`,
    '',
  ].join('\n')
}
