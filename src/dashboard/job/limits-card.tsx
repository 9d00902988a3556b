import { get, type Answer, part } from '../shared/api.ts'
import { durationText, numberText } from '../shared/format.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Shown } from '../shared/parts.tsx'

type Declared = NonNullable<Answer<'jobs.limits'>['declared']>

/** The limits of a job's runs, and how much of each is in use. */
export function LimitsCard({ jobId }: { readonly jobId: string }) {
  const loaded = useLoad(`limits ${jobId}`, (signal) => get<'jobs.limits'>(`/jobs/${part(jobId)}/limits`, {}, signal))
  return (
    <Card title="Limits">
      <Shown of={loaded}>
        {({ running, queued, declared, rateUse, pools }) => (
          <>
            <p>
              <a href={`/runs?jobId=${part(jobId)}&state=running`}>{numberText(running)} running</a>
              {declared?.concurrency !== undefined && (
                <Meter label="Running runs of the limit" value={running} max={declared.concurrency} />
              )}
              , <a href={`/runs?jobId=${part(jobId)}&state=queued`}>{numberText(queued)} queued</a>
            </p>
            {declared?.rate && rateUse && (
              <p>
                {numberText(rateUse.taken)} {rateUse.taken === 1 ? 'attempt' : 'attempts'} in the last{' '}
                {durationText(declared.rate.perMs)}
                {rateUse.key !== undefined && ` with the key ${JSON.stringify(rateUse.key)}, the most of all keys,`}
                <Meter label="Attempts of the rate" value={rateUse.taken} max={declared.rate.limit} />
              </p>
            )}
            {pools.map(({ name, borrowed, waiting, size }) => (
              <p key={name}>
                {name}: {numberText(borrowed)} borrowed
                {size !== null && <Meter label={`Slots of ${name}`} value={borrowed} max={size} />}
                {waiting > 0 && <span class="bad">, {numberText(waiting)} waiting</span>}
              </p>
            ))}
            {declared ? (
              <dl class="facts">
                {wordsOf(declared).map(([name, value]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            ) : (
              <p class="note">
                The node that serves this page has no code for this job, so it does not know the limits.
              </p>
            )}
          </>
        )}
      </Shown>
    </Card>
  )
}

function Meter({ label, value, max }: { readonly label: string; readonly value: number; readonly max: number }) {
  return (
    <>
      {' '}
      of {numberText(max)} <meter aria-label={label} min={0} max={max} high={max * 0.9} value={Math.min(value, max)} />
    </>
  )
}

function wordsOf(declared: Declared): (readonly [string, string])[] {
  const { concurrency, parallel, perKey, rate, overlap, timeoutMs, attempts, misfireGraceMs, priority } = declared
  return [
    ['At the same time', concurrency === undefined ? 'no limit' : numberText(concurrency)],
    ...(parallel === undefined ? [] : [['Windows at the same time', numberText(parallel)] as const]),
    ...(perKey === undefined ? [] : [['With the same key', numberText(perKey)] as const]),
    ...(rate
      ? [
          [
            'Rate',
            `${numberText(rate.limit)} in ${durationText(rate.perMs)}${rate.isKeyed ? ', for each key' : ''}`,
          ] as const,
        ]
      : []),
    ['Overlap', overlap],
    ['Timeout', timeoutMs === undefined ? 'none' : durationText(timeoutMs)],
    ['Attempts', attempts === null ? 'without end' : `${attempts}`],
    ['A tick may be late by', durationText(misfireGraceMs)],
    ['Priority', `${priority}`],
  ]
}
