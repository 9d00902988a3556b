import { type Command, Option } from 'commander'
import { counted } from '../../counted.ts'
import { PikoError } from '../../errors.ts'
import type { MessageFilter, MessageStatus } from '../../operations/notify.ts'
import type { Alert } from '../../notice/alert.ts'
import { MESSAGE_STATES } from '../../store/notices/notice-tables.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'

export function addNotify(program: Command): void {
  const notify = program
    .command('notify')
    .summary('test the notifiers, and list their messages and open alerts')
    .description('Tests the notifiers, and lists their messages and the open alerts.')
  notify.addHelpText('after', examples(['piko notify test', 'piko notify list', 'piko notify alerts']))
  notify
    .command('test')
    .description(
      'Sends a test message to each notifier of the [notify] settings; with --url, to those of the node. Exits with 1 if one fails.',
    )
    .option('--to <notifier>', 'only this notifier, such as slack')
    .addHelpText('after', examples(['piko notify test', 'piko notify test --to slack --json']))
    .action((options: { readonly to?: string }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const tests = await app.notify.test(options)
        printResult(json, { tests }, () =>
          tests
            .map(({ notifier, isOk, error, durationMs }) =>
              isOk ? `${notifier}: delivered in ${durationMs} ms` : `${notifier}: failed: ${visibleLine(error ?? '')}`,
            )
            .join('\n'),
        )
        const failed = tests.filter(({ isOk }) => !isOk).map(({ notifier }) => notifier)
        if (failed.length > 0) throw failedError(failed)
      }),
    )
  addList(notify, {
    noun: 'messages',
    description: 'Lists messages to hooks and notifiers, newest first. Changes nothing.',
    examples: ['piko notify list', 'piko notify list --state dead --json'],
    columns: () => MESSAGE_COLUMNS,
    find: (options: MessageFilter, globals) => withApp(globals, (app) => app.notify.list(options)),
    data: (message) => ({ ...message, error: message.error ?? null, sentAt: message.sentAt ?? null }),
  })
    .addOption(new Option('--state <state>', 'only messages in this state').choices(MESSAGE_STATES))
    .option('--limit <count>', 'maximum number of messages to list; default: 100', parseLimit)
  notify
    .command('alerts')
    .description(
      'Lists open alerts: jobs that are failing or late. An alert is closed once its recovery has been reported. Changes nothing.',
    )
    .addHelpText('after', examples(['piko notify alerts', 'piko notify alerts --json']))
    .action((_options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const alerts = await app.notify.alerts()
        printResult(json, { alerts: alerts.map(alertData) }, () =>
          alerts.length === 0 ? 'no alerts' : table(ALERT_COLUMNS, alerts),
        )
      }),
    )
}

function failedError(notifiers: readonly string[]): PikoError {
  const message = `the test did not reach ${counted(notifiers.length, 'notifier')}: ${notifiers.join(', ')}; the output says why`
  return new PikoError('NOTIFY_FAILED', message, { details: { notifiers } })
}

const optional = (at: Date | undefined): string => (at ? instantText(at) : '-')

const MESSAGE_COLUMNS: readonly Column<MessageStatus>[] = [
  { title: 'id', cell: ({ id }) => String(id) },
  { title: 'made', cell: ({ createdAt }) => instantText(createdAt) },
  { title: 'channel', cell: ({ channel }) => visibleLine(channel) },
  { title: 'kind', cell: ({ kind }) => kind },
  { title: 'jobs', cell: ({ jobs, jobCount }) => (jobCount === 1 ? (jobs[0] ?? '1') : String(jobCount)) },
  { title: 'count', cell: ({ count }) => String(count) },
  { title: 'state', cell: ({ state }) => state },
  { title: 'tries', cell: ({ tries }) => String(tries) },
  { title: 'sent', cell: ({ sentAt }) => optional(sentAt) },
  { title: 'error', cell: ({ error }) => visibleLine(error ?? '') },
]

const ALERT_COLUMNS: readonly Column<Alert>[] = [
  { title: 'job', cell: ({ jobId }) => jobId },
  { title: 'problem', cell: ({ problem }) => problem },
  { title: 'count', cell: ({ count }) => String(count) },
  { title: 'since', cell: ({ openedAt }) => instantText(openedAt) },
  { title: 'last', cell: ({ lastAt }) => instantText(lastAt) },
  { title: 'told', cell: ({ toldAt }) => optional(toldAt) },
  { title: 'recovered', cell: ({ recoveredAt }) => optional(recoveredAt) },
  { title: 'error', cell: ({ error }) => visibleLine(error ?? '') },
]

function alertData({ runId, error, window, tick, toldAt, recoveredAt, ...alert }: Alert): object {
  const rest = { runId: runId ?? null, error: error ?? null, window: window ?? null, tick: tick ?? null }
  return { ...alert, ...rest, toldAt: toldAt ?? null, recoveredAt: recoveredAt ?? null }
}
