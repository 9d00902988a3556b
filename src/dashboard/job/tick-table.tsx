import type { Answer } from '../shared/api.ts'

/** Ticks with their local times. Marks ticks that a clock change moves or repeats. */
export function TickTable({
  ticks,
  label,
}: {
  readonly ticks: Answer<'schedules.preview'>['ticks']
  readonly label: string
}) {
  if (ticks.length === 0) return <p class="quiet">No further tick.</p>
  return (
    <div class="scroll ticks" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">Next ticks, local</th>
            <th scope="col">UTC</th>
          </tr>
        </thead>
        <tbody>
          {ticks.map(({ at, local, offset, transition }) => (
            <tr key={at}>
              <td>
                {local.replace('T', ' ')} <span class="quiet">{offset}</span>
                {transition !== null && (
                  <strong class="under">
                    {transition === 'gap'
                      ? '⚠ this local time does not exist that day'
                      : '⚠ this local time occurs twice that day'}
                  </strong>
                )}
              </td>
              <td>{at.slice(0, 19).replace('T', ' ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
