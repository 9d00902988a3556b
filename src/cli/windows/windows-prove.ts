import { counted } from '../../counted.ts'
import type { Command } from 'commander'
import type { Certificate, ProofFinding } from '../../operations/proof/certificate.ts'
import { proofFailed } from '../../operations/proof/proof-failed.ts'
import { visibleLine } from '../../visible.ts'
import { examples } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { rangeText } from '../output/local-window.ts'
import { printResult } from '../output/print-result.ts'
import { withWindows } from './with-windows.ts'

interface ProveOptions {
  readonly from?: Date | string
  readonly to?: Date | string
}

const MAX_SHOWN = 50

export function addProve(windows: Command): void {
  windows
    .command('prove')
    .description(
      "Proves a job's ledger. Its windows must have no gap or overlap, and exactly one claim must have ended each succeeded window. The " +
        "rows in the job's fenced tables must be those that this claim wrote. Shows each violation with the command that repairs it, " +
        'and then exits with 1. Changes nothing.',
    )
    .argument('<job>', 'id of a job with windows')
    .option('--from <instant>', 'only windows that start at or after this instant or date', parseMoment)
    .option('--to <instant>', 'only windows that start before this instant or date', parseMoment)
    .addHelpText(
      'after',
      examples([
        'piko windows prove sync_orders',
        'piko windows prove sync_orders --from 2025-01-01 --to 2026-01-01',
        'piko windows prove sync_orders --json > certificate.json',
      ]),
    )
    .action((jobId: string, options: ProveOptions, command: Command) =>
      withWindows(jobId, command, async (app, json, zone) => {
        const certificate = await app.windows.prove(jobId, options)
        printResult(json, certificate, () => proofText(certificate, zone))
        if (!certificate.isProved) throw proofFailed(certificate)
      }),
    )
}

function proofText(certificate: Certificate, zone: string): string {
  const { jobId, from, to, windows, tables, unverified, unrun, findings, findingsTotal, versions } = certificate
  const counts = Object.entries(windows).flatMap(([state, count]) => (count > 0 ? `${count} ${state}` : []))
  const lines: [string, string | undefined][] = [
    ['job', visibleLine(jobId)],
    ['range', rangeText({ start: from, end: to }, zone)],
    ['windows', counts.join(', ') || 'none'],
    ...tables.map((table): [string, string] => ['table', tableText(table)]),
    ['unverified', unverified > 0 ? `${counted(unverified, 'window')} whose run the retention has deleted` : undefined],
    ['never run', unrun.length > 0 ? unrun.map((span) => rangeText(span, zone)).join(', ') : undefined],
    ['digest', certificate.digest],
    ['versions', `piko ${versions.piko}, schema ${versions.schema}`],
    ['result', findingsTotal === 0 ? 'proved' : `${findingsTotal} ${findingsTotal === 1 ? 'finding' : 'findings'}`],
  ]
  const head = lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(10)} ${value}`]))
  const more = findings.length > MAX_SHOWN ? [`… and ${findingsTotal - MAX_SHOWN} more; --json has up to 1,000`] : []
  return [...head, ...findings.slice(0, MAX_SHOWN).map(findingText), ...more].join('\n')
}

const NOT_PROVED = {
  database: 'it is in another database',
  merge: 'merge keeps rows of older generations',
  upsert: 'upsert moves rows between windows, since its key has no window column',
} as const

function tableText({ name, notProved, rows, unrecorded, digest }: Certificate['tables'][number]): string {
  if (notProved !== undefined) return `${visibleLine(name)}: not proved, because ${NOT_PROVED[notProved]}`
  const note = unrecorded > 0 ? `, ${counted(unrecorded, 'window')} without a recorded number of rows` : ''
  return `${visibleLine(name)}: ${counted(rows, 'row')}${note}, digest ${digest}`
}

function findingText({ kind, message, repair }: ProofFinding): string {
  return `\n${kind}: ${visibleLine(message)}\n  repair: ${visibleLine(repair)}`
}
