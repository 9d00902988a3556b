import { type Command, InvalidArgumentError } from 'commander'
import { LIVE_KINDS, type LiveEvent, type LiveKind, type LiveSignal } from '../../live/live-event.ts'
import { visibleJson, visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { stopSignals } from '../process/stop-signals.ts'
import { withApp } from '../with-app.ts'

interface LiveOptions {
  readonly after?: number
  readonly kinds?: readonly LiveKind[]
  readonly jobs?: readonly string[]
}

export function addLive(program: Command): void {
  const live = program
    .command('live')
    .summary('follow what happens on all nodes')
    .description(
      'Shows the events of the fleet: changes of runs, windows, backfills, batches, jobs, configs and nodes.',
    )
  live.addHelpText('after', examples(['piko live follow', 'piko live follow --kinds run --jobs sync_orders --json']))
  withFilter(live.command('follow'))
    .description('Follows the events until Ctrl-C. With --json, writes one line for each event.')
    .addHelpText(
      'after',
      examples(['piko live follow', 'piko live follow --kinds run --json | jq \'select(.state == "failed")\'']),
    )
    .action((options: LiveOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const signals = stopSignals()
        const stop = new AbortController()
        void signals.first.then(() => stop.abort())
        try {
          for await (const event of app.live.follow({ ...options, signal: stop.signal }))
            process.stdout.write(`${json ? visibleJson(event) : eventLine(event)}\n`)
        } finally {
          signals.release()
        }
      }),
    )
  withFilter(live.command('page'))
    .description('Shows the events after an id, and the id after which the next page begins.')
    .addHelpText('after', examples(['piko live page --json', 'piko live page --after 41 --json | jq .next']))
    .action((options: LiveOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const page = await app.live.page(options)
        const lines = (): string => [...page.items.map(eventLine), `next: ${page.next}`].join('\n')
        printResult(json, page, () => (page.isExceeded ? `events are missing\n${lines()}` : lines()))
      }),
    )
}

function withFilter(command: Command): Command {
  return command
    .option('--after <id>', 'the id of the last event that you know; default: begins with the next event', parseEventId)
    .option('--kinds <kinds>', `only these kinds, separated by commas: ${LIVE_KINDS.join(', ')}`, parseKinds)
    .option('--jobs <jobs>', 'only events of these jobs, separated by commas', (text: string) => text.split(','))
}

function parseEventId(text: string): number {
  const id = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(id)) return id
  throw new InvalidArgumentError('expected the id of an event, such as 41')
}

function parseKinds(text: string): LiveKind[] {
  return text.split(',').map((word) => {
    const kind = LIVE_KINDS.find((one) => one === word)
    if (kind) return kind
    throw new InvalidArgumentError(`expected some of ${LIVE_KINDS.join(', ')}`)
  })
}

function eventLine(event: LiveEvent | LiveSignal): string {
  const { kind, id, ...rest } = event
  const { at, ...facts } = rest as { readonly at?: string }
  const words = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`)
  return visibleLine([at, id, kind, ...words].filter((word) => word !== undefined).join(' '))
}
