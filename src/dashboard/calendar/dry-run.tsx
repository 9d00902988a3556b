import { type Answer, part, send } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'
import { Instant } from '../shared/parts.tsx'
import { InZoneOf } from '../shared/zones.tsx'
import { RangeCalendar } from './range-calendar.tsx'

type Windows = Answer<'backfills.preview'>['items']

const PAGE = 500
/** The maximum number of pages to load. If there are more windows, the dialog shows "more than" and the number of loaded ones. */
const MAX_PAGES = 20
const LISTED = 20

/** Requests the windows that a backfill would run, and draws them on their days. */
export async function dryRun(
  { jobId, from, to }: { readonly jobId: string; readonly from: string; readonly to: string },
  only: string,
  signal: AbortSignal,
) {
  const { windows, isWhole } = await allWindows(jobId, { from, to, only }, signal)
  const [first] = windows
  const last = windows.at(-1)
  if (!first || !last) return <p>No window of this range would run.</p>
  const days = Map.groupBy(windows, ({ start }) => start.slice(0, 10))
  const chosen = new Map([...days].map(([day, ofDay]) => [day, ofDay.length]))
  return (
    <InZoneOf job={jobId}>
      <p>
        Runs {isWhole ? numberText(windows.length) : `more than ${numberText(windows.length)}`} windows, from{' '}
        <Instant at={first.start} /> {isWhole ? 'to' : 'past'} <Instant at={last.end} />:
      </p>
      <RangeCalendar jobId={jobId} from={first.start} to={last.end} chosen={chosen} />
      <details>
        <summary>The windows one by one</summary>
        <ul class="preview-list">
          {windows.slice(0, LISTED).map(({ start, state }) => (
            <li key={start}>
              <Instant at={start} /> {state !== undefined && <span class="quiet">now {state}</span>}
            </li>
          ))}
          {windows.length > LISTED && <li class="quiet">and {numberText(windows.length - LISTED)} more</li>}
        </ul>
      </details>
    </InZoneOf>
  )
}

/** Loads the windows of a backfill page by page, oldest first, up to the maximum number of pages. */
async function allWindows(
  jobId: string,
  range: { readonly from: string; readonly to: string; readonly only: string },
  signal: AbortSignal,
): Promise<{ readonly windows: Windows; readonly isWhole: boolean }> {
  const windows: Windows = []
  for (let { from } = range, page = 0; page < MAX_PAGES; page += 1) {
    const body = { ...range, from, limit: PAGE }
    const path = `/jobs/${part(jobId)}/backfills/preview`
    const answer = (await send({ method: 'POST', path, body }, signal)) as Answer<'backfills.preview'>
    windows.push(...answer.items)
    const end = answer.items.at(-1)?.end
    if (answer.isWhole || end === undefined) return { windows, isWhole: true }
    from = end
  }
  return { windows, isWhole: false }
}
