import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { PaletteButton } from '../palette/palette.tsx'
import { connection, connectionText, isHeld } from './live.ts'
import { path } from './router.ts'
import { logOut, session } from './session.ts'
import { chooseZone, theme, THEMES, zoneChoice, ZONES } from './settings.ts'
import { zoneProblem } from './zones.tsx'

const PAGES = [
  ['/', 'Overview'],
  ['/grid', 'Grid'],
  ['/timeline', 'Timeline'],
  ['/runs', 'Runs'],
  ['/backfills', 'Backfills'],
  ['/why', 'Why not?'],
  ['/nodes', 'Nodes'],
  ['/audit', 'Audit'],
  ['/tokens', 'Tokens'],
] as const

const ZONE_NAMES = { utc: 'UTC', job: "job's zone", browser: 'my zone' } as const

export function Layout({ children }: { readonly children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#main" data-outside>
        Skip to the content
      </a>
      <div class="frame">
        <div class="bar">
          <a class="brand" href="/">
            piko
          </a>
          <nav aria-label="Pages">
            {PAGES.map(([target, name]) => (
              <a key={target} href={target} aria-current={isAt(target) ? 'page' : undefined}>
                {name}
              </a>
            ))}
          </nav>
          <PaletteButton />
          <Switches />
        </div>
        <main id="main" tabIndex={-1}>
          {children}
        </main>
      </div>
    </>
  )
}

function isAt(target: string): boolean {
  return target === '/' ? path.value === '/' || path.value.startsWith('/jobs') : path.value.startsWith(target)
}

function Switches() {
  return (
    <div class="switches">
      <label>
        <span>Times in</span>
        <select
          value={zoneChoice.value}
          onChange={({ currentTarget }) => chooseZone(ZONES.find((zone) => zone === currentTarget.value) ?? 'utc')}
        >
          {ZONES.map((zone) => (
            <option key={zone} value={zone}>
              {ZONE_NAMES[zone]}
            </option>
          ))}
        </select>
        {zoneProblem.value !== undefined && zoneChoice.value === 'job' && (
          <span class="bad" title={zoneProblem.value}>
            some are in UTC: the zones of their jobs did not load
          </span>
        )}
      </label>
      <label>
        <span>Colours</span>
        <select
          value={theme.value}
          onChange={({ currentTarget }) => (theme.value = THEMES.find((one) => one === currentTarget.value) ?? 'auto')}
        >
          {THEMES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <button
        type="button"
        class={`connection connection-${isHeld.value ? 'held' : connection.value}`}
        aria-pressed={isHeld.value}
        title={isHeld.value ? 'Continue to update' : 'Hold this view as it is'}
        onClick={() => (isHeld.value = !isHeld.value)}
      >
        {connectionText.value}
      </button>
      <Who />
    </div>
  )
}

/** Shows the user of the page and their role. */
function Who() {
  const who = session.value
  if (!who) return null
  return (
    <div class="who">
      <span title={who.jobs && `limited to the jobs ${who.jobs.join(', ')}`}>
        {who.kind === 'local' ? 'this machine' : who.name} <span class="quiet">({who.role})</span>
      </span>
      {who.kind === 'session' && (
        <button type="button" class="small" onClick={() => void logOut()}>
          Log out
        </button>
      )}
    </div>
  )
}

/** Sets the title of the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Piko`
  }, [title])
}
