import { useState } from 'preact/hooks'
import { ask } from '../actions/action.tsx'
import { type Answer, get, part } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Shown } from '../shared/parts.tsx'
import { useReveal } from '../shared/reveal.ts'
import { type Draft, draftOf, GAPS, KINDS, OVERLAPS, scheduleFlags, scheduleOf } from './schedule-draft.ts'
import { useWords } from './schedule-words.ts'
import { TickTable } from './tick-table.tsx'

const TICKS = 20
const KIND_NAMES = {
  cron: 'at times (cron)',
  every: 'at a fixed interval',
  at: 'once',
  none: 'only on request',
} as const
const ZONES = Intl.supportedValuesOf('timeZone')

interface Props {
  readonly job: Answer<'jobs.show'>
  readonly onEnd: () => void
}

/** The form for a job's schedule. It shows the ticks of the new schedule before it is saved. */
export function ScheduleEditor({ job, onEnd }: Props) {
  const form = useReveal<HTMLFormElement>('schedule')
  const [draft, setDraft] = useState(() => draftOf(job.schedule))
  const set = (change: Partial<Draft>): void => setDraft((before) => ({ ...before, ...change }))
  const written = scheduleOf(draft, job.schedule, job.windows)
  const schedule = 'schedule' in written ? written.schedule : undefined
  const words = useWords(schedule)
  const save = (): void => {
    if (schedule === undefined) return
    ask({
      title: `Override the schedule of ${job.id}`,
      request: { method: 'PUT', path: `/jobs/${part(job.id)}/schedule`, body: { schedule } },
      cli: ['schedules', 'set', job.id, ...scheduleFlags(schedule, job.windows)],
      preview: async (signal) => (
        <>
          <p>{schedule === null ? 'No tick fires any more; the job runs only on request.' : `From now on: ${words}`}</p>
          <p>It takes effect on all nodes within one poll, and survives deploys until it is cleared.</p>
          {schedule && (
            <TickTable ticks={(await ticksOf(job.id, schedule, signal)).ticks} label="Ticks that it will have" />
          )}
        </>
      ),
      onDone: onEnd,
    })
  }
  return (
    <form
      ref={form}
      class="fields"
      aria-label="Schedule editor"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <label>
        It runs
        <select
          value={draft.kind}
          onChange={({ currentTarget }) => set({ kind: KINDS.find((one) => one === currentTarget.value) ?? 'none' })}
        >
          {KINDS.map((one) => (
            <option key={one} value={one}>
              {KIND_NAMES[one]}
            </option>
          ))}
        </select>
      </label>
      <Fields draft={draft} set={set} />
      <p aria-live="polite">{'problem' in written ? <span class="bad">{written.problem}</span> : words}</p>
      {schedule && <Tried jobId={job.id} schedule={schedule} />}
      <p class="row">
        <button type="submit" class="main" disabled={schedule === undefined}>
          Save…
        </button>
        <button type="button" onClick={onEnd}>
          Discard
        </button>
      </p>
    </form>
  )
}

interface FieldsProps {
  readonly draft: Draft
  readonly set: (change: Partial<Draft>) => void
}

function Fields({ draft, set }: FieldsProps) {
  if (draft.kind === 'none') return null
  if (draft.kind === 'every')
    return (
      <label>
        Every (a duration with a unit)
        <input required value={draft.every} onInput={({ currentTarget }) => set({ every: currentTarget.value })} />
      </label>
    )
  if (draft.kind === 'at')
    return (
      <label>
        At (an instant with its zone)
        <input
          required
          placeholder="2026-01-31T06:00:00Z"
          value={draft.at}
          onInput={({ currentTarget }) => set({ at: currentTarget.value.trim() })}
        />
      </label>
    )
  return (
    <>
      <label>
        Cron expression, or several, one in each line
        <textarea
          rows={2}
          required
          value={draft.cron}
          onInput={({ currentTarget }) => set({ cron: currentTarget.value })}
        />
      </label>
      <label>
        Time zone
        <input
          required
          list="time-zones"
          value={draft.timezone}
          onInput={({ currentTarget }) => set({ timezone: currentTarget.value.trim() })}
        />
        <datalist id="time-zones">
          {ZONES.map((zone) => (
            <option key={zone} value={zone} />
          ))}
        </datalist>
      </label>
      <div class="row">
        <Choice
          label="If clocks go forward over it"
          value={draft.gap}
          choices={GAPS}
          onChange={(gap) => set({ gap })}
        />
        <Choice
          label="If clocks go back over it"
          value={draft.overlap}
          choices={OVERLAPS}
          onChange={(overlap) => set({ overlap })}
        />
      </div>
    </>
  )
}

interface ChoiceProps {
  readonly label: string
  readonly value: string
  readonly choices: readonly string[]
  readonly onChange: (value: string) => void
}

function Choice({ label, value, choices, onChange }: ChoiceProps) {
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        {choices.map((one) => (
          <option key={one} value={one}>
            {one === '' ? 'decided by the expression' : one}
          </option>
        ))}
      </select>
    </label>
  )
}

/** The ticks of a schedule that is not saved yet. */
function Tried({ jobId, schedule }: { readonly jobId: string; readonly schedule: Readonly<Record<string, unknown>> }) {
  const loaded = useLoad(`tried ${jobId} ${JSON.stringify(schedule)}`, (signal) => ticksOf(jobId, schedule, signal))
  return <Shown of={loaded}>{({ ticks }) => <TickTable ticks={ticks} label="Ticks of what is typed" />}</Shown>
}

function ticksOf(jobId: string, schedule: Readonly<Record<string, unknown>>, signal: AbortSignal) {
  const query = { count: TICKS, schedule: JSON.stringify(schedule) }
  return get<'schedules.preview'>(`/jobs/${part(jobId)}/ticks`, query, signal)
}
