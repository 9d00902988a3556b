import { type Command, Option } from 'commander'
import { ITEM_STATES, type ItemState } from '../../item/item.ts'
import type { StoredItem } from '../../store/items/list-items.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { table } from '../output/table.ts'
import { parseItemId, parseRunId } from '../parse/parse-id.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'
import { itemText, laneColumns, statusText } from './items-text.ts'

interface ListOptions {
  readonly state?: ItemState
  readonly kind?: string
  readonly lane?: string
  readonly limit: number
  readonly after?: number
}

export function addItems(program: Command): void {
  const items = program
    .command('items')
    .summary('show and replay items of runs, pause lanes')
    .description('Shows items, the small durable units of work of a run. Queues dead items again, and pauses lanes.')
    .addHelpText(
      'after',
      examples([
        'piko items status 17',
        'piko items list 17 --state dead',
        'piko items replay 17',
        'piko items pause api.acme.test',
      ]),
    )
  addStatus(items)
  addItemList(items)
  addShow(items)
  addReplay(items)
  addLanes(items)
  addPause(
    items,
    'pause',
    'Pauses a lane: no node begins an item of it until it is resumed. Items in progress continue.',
  )
  addPause(items, 'resume', 'Resumes a paused lane.')
}

function addStatus(items: Command): void {
  items
    .command('status')
    .description('Shows how many items of a run are in each state, its speed and its lanes. Changes nothing.')
    .argument('<run>', 'number of the run', parseRunId)
    .addHelpText('after', examples(['piko items status 17', "piko items status 17 --json | jq '.kinds'"]))
    .action((runId: number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const status = await app.items.status(runId)
        printResult(json, status, () => statusText(status))
      }),
    )
}

function addItemList(items: Command): void {
  items
    .command('list')
    .description('Lists items of a run, ordered by their numbers. Changes nothing.')
    .argument('<run>', 'number of the run', parseRunId)
    .addOption(new Option('--state <state>', 'only items in this state').choices(ITEM_STATES))
    .option('--kind <name>', 'only items of this kind')
    .option('--lane <name>', 'only items of this lane')
    .option('--limit <count>', 'maximum number of items to show', parseLimit, 100)
    .option('--after <item>', 'only items with a higher number; give the "next" of the previous page', parseItemId)
    .addHelpText(
      'after',
      examples(['piko items list 17 --state dead', 'piko items list 17 --kind page --after 200 --json']),
    )
    .action((runId: number, options: ListOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const page = await app.items.list(runId, options)
        printResult(json, page, () => pageText(page.items, page.next))
      }),
    )
}

function pageText(items: readonly StoredItem[], next: number | undefined): string {
  if (items.length === 0) return 'no items'
  const shown = table(
    [
      { title: 'item', cell: ({ id }: StoredItem) => String(id) },
      { title: 'kind', cell: ({ kind }: StoredItem) => kind },
      { title: 'state', cell: ({ state }: StoredItem) => state },
      { title: 'lane', cell: ({ lane }: StoredItem) => lane },
      { title: 'key', cell: ({ key }: StoredItem) => key },
      { title: 'reason', cell: ({ reason, error }: StoredItem) => [reason, error?.message].filter(Boolean).join(': ') },
    ],
    items,
  )
  return next === undefined ? shown : `${shown}\nmore: --after ${next}`
}

function addShow(items: Command): void {
  items
    .command('show')
    .description('Shows an item with its data and its error. Changes nothing.')
    .argument('<item>', 'number of the item', parseItemId)
    .addHelpText('after', examples(['piko items show 2031', "piko items show 2031 --json | jq '.data'"]))
    .action((id: number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const item = await app.items.show(id)
        printResult(json, item, () => itemText(item))
      }),
    )
}

interface ReplayOptions {
  readonly state?: 'dead' | 'skipped' | 'cancelled'
  readonly kind?: string
  readonly lane?: string
}

function addReplay(items: Command): void {
  items
    .command('replay')
    .description(
      'Queues the dead items of a run again. They get the bytes that their handler kept for the next attempt. A failed run is ' +
        'reopened, and succeeds once all its items have succeeded.',
    )
    .argument('<run>', 'number of the run', parseRunId)
    .addOption(
      new Option('--state <state>', 'replay items in this state; default: dead').choices([
        'dead',
        'skipped',
        'cancelled',
      ]),
    )
    .option('--kind <name>', 'only items of this kind')
    .option('--lane <name>', 'only items of this lane')
    .addHelpText('after', examples(['piko items replay 17', 'piko items replay 17 --kind page --lane api.acme.test']))
    .action((runId: number, options: ReplayOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { items: count } = await app.items.replay(runId, options)
        printResult(json, { runId, items: count }, () => `${count} ${count === 1 ? 'item' : 'items'} queued again`)
      }),
    )
}

interface LaneOptions {
  readonly run?: number
  readonly scope?: string
  readonly limit: number
}

function addLanes(items: Command): void {
  items
    .command('lanes')
    .description('Lists lanes with their numbers of items, their limits and their circuit breakers. Changes nothing.')
    .option('--run <run>', 'only lanes with queued or running items of this run', parseRunId)
    .option('--scope <name>', 'only lanes of this scope: the id of a job, or its laneScope')
    .option('--limit <count>', 'maximum number of lanes to show', parseLimit, 100)
    .addHelpText('after', examples(['piko items lanes', 'piko items lanes --run 17 --json']))
    .action(({ run, scope, limit }: LaneOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const lanes = await app.items.lanes({
          limit,
          ...(run !== undefined && { runId: run }),
          ...(scope !== undefined && { scope }),
        })
        printResult(json, { lanes }, () => (lanes.length === 0 ? 'no lanes' : table(laneColumns, lanes)))
      }),
    )
}

function addPause(items: Command, verb: 'pause' | 'resume', description: string): void {
  items
    .command(verb)
    .description(description)
    .argument('<lane>', 'name of the lane')
    .option('--scope <name>', 'scope of the lane: the id of a job, or its laneScope; default: all lanes of this name')
    .addHelpText(
      'after',
      examples([`piko items ${verb} api.acme.test`, `piko items ${verb} eu --scope sync_shops --json`]),
    )
    .action((lane: string, { scope }: { readonly scope?: string }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { lanes } = await app.items[verb](lane, scope === undefined ? {} : { scope })
        printResult(
          json,
          { lane, lanes },
          () => `${lanes} ${lanes === 1 ? 'lane' : 'lanes'} ${verb === 'pause' ? 'paused' : 'resumed'}`,
        )
      }),
    )
}
