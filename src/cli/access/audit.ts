import { type Command, Option } from 'commander'
import type { AuditQuery } from '../../operations/audit/audit.ts'
import { AUDIT_OUTCOMES } from '../../store/access/access-tables.ts'
import type { AuditRecord } from '../../store/access/audit-store.ts'
import { examples } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { parseAuditId } from '../parse/parse-id.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'

interface ListOptions extends Omit<AuditQuery, 'jobId'> {
  readonly job?: string
}

export function addAudit(program: Command): void {
  const audit = program
    .command('audit')
    .summary('show who changed what, when and why')
    .description(
      'Shows the changes that people and programs made: who, what, when, why, and the states before and after.',
    )
  audit.addHelpText('after', examples(['piko audit list', 'piko audit list --job sync_orders']))
  addList(audit, {
    noun: 'audit',
    description:
      'Lists changes, newest first; --json adds the states before and after. Changes nothing. ' +
      'Outcomes: done, started (in progress, or its process ended), unknown (failed, and may have changed something).',
    examples: [
      'piko audit list --job sync_orders',
      'piko audit list --verb jobs.pause --from 2026-01-01T00:00:00Z',
      "piko audit list --json | jq '.audit[] | {verb, actor, before, after}'",
    ],
    columns,
    find: ({ job, ...options }: ListOptions, globals) =>
      withApp(globals, (app) => app.audit.list({ ...options, ...(job !== undefined && { jobId: job }) })),
    data: dataOf,
  })
    .option('--job <job>', 'only changes of this job')
    .option('--verb <verb>', 'only this kind of change, such as jobs.pause')
    .option('--actor <name>', 'only changes by this token, or by this user@host')
    .addOption(new Option('--outcome <outcome>', 'only changes with this outcome').choices(AUDIT_OUTCOMES))
    .option('--from <instant>', 'only changes at or after this instant, such as 2026-01-01T00:00:00Z', parseInstant)
    .option('--to <instant>', 'only changes before this instant', parseInstant)
    .option('--before <id>', 'only changes with smaller ids, for the next page', parseAuditId)
    .option('--limit <count>', 'maximum number of changes to list; default: 100', parseLimit)
}

function dataOf(record: AuditRecord): object {
  const { id, verb, actor, jobId, target, reason, request, before, after, outcome, errorCode, beganAt, endedAt } =
    record
  return {
    ...{ id, verb, actor, outcome, beganAt, endedAt: endedAt ?? null, errorCode: errorCode ?? null },
    ...{ jobId: jobId ?? null, target: target ?? null, reason: reason ?? null },
    ...{ request: request ?? null, before: before ?? null, after: after ?? null },
  }
}

function columns(): Column<AuditRecord>[] {
  const { green, yellow } = styleFor(process.stdout)
  return [
    { title: 'id', cell: ({ id }) => String(id) },
    { title: 'when', cell: ({ beganAt }) => instantText(beganAt) },
    { title: 'who', cell: ({ actor }) => `${actor.name} (${actor.kind})` },
    { title: 'what', cell: ({ verb }) => verb },
    { title: 'job', cell: ({ jobId }) => jobId ?? '-' },
    { title: 'target', cell: ({ target }) => target ?? '-' },
    {
      title: 'outcome',
      cell: ({ outcome }) => outcome,
      paint: (text, { outcome }) => (outcome === 'done' ? green(text) : yellow(text)),
    },
    { title: 'reason', cell: ({ reason }) => reason ?? '' },
  ]
}
