import { type Command, Option } from 'commander'
import { GRID_UNITS, type GridCell, type GridFilter } from '../../operations/views/window-grid.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { table } from '../output/table.ts'
import { withApp } from '../with-app.ts'

interface GridOptions extends Pick<GridFilter, 'from' | 'to' | 'by' | 'limit' | 'after'> {
  readonly job?: string[]
}

interface Line extends GridCell {
  readonly jobId: string
}

export function addGrid(windows: Command): void {
  windows
    .command('grid')
    .description('Counts the windows of many jobs by state, for each hour, day, week or month in UTC. Changes nothing.')
    .requiredOption('--from <instant>', 'start of the range', parseInstant)
    .requiredOption('--to <instant>', 'end of the range (exclusive)', parseInstant)
    .addOption(new Option('--by <unit>', 'the length of a cell').choices(GRID_UNITS).default('day'))
    .option('--job <id...>', 'only these jobs; default: all jobs with windows')
    .option('--limit <count>', 'maximum number of jobs to show', parseLimit, 50)
    .option('--after <id>', 'only jobs with larger ids; give the "next" of the previous page')
    .addHelpText(
      'after',
      examples([
        'piko windows grid --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z',
        'piko windows grid --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --by hour --job sync_orders --json',
      ]),
    )
    .action(({ job, ...options }: GridOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const grid = await app.windows.grid({ ...options, ...(job && { jobIds: job }) })
        printResult(json, { ...grid, next: grid.next ?? null }, () => {
          const lines = grid.rows.flatMap(({ jobId, cells }) => cells.map((cell): Line => ({ jobId, ...cell })))
          return lines.length === 0 ? 'no windows' : table(COLUMNS, lines)
        })
      }),
    )
}

const COLUMNS = [
  { title: 'job', cell: ({ jobId }: Line) => visibleLine(jobId) },
  { title: 'from', cell: ({ start }: Line) => instantText(start) },
  {
    title: 'windows',
    cell: ({ counts }: Line) =>
      Object.entries(counts)
        .map(([state, count]) => `${count} ${state}`)
        .join(', '),
  },
]
