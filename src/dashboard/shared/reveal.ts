import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { query, setQuery } from './router.ts'

/** The parts of pages that an address can open with its parameter `edit`. */
export type Editable = 'again' | 'config' | 'run' | 'schedule' | 'token' | 'versions'

/** Whether the address opens this part of the page. */
export function isEdited(name: Editable): boolean {
  return query.value.get('edit') === name
}

/** Opens a part of the page, or closes it. The address keeps this, so that a link shows the same. */
export function setEdited(name: Editable, isOpen: boolean): void {
  setQuery({ edit: isOpen ? name : undefined })
}

/** Scrolls an element into view and gives its first field the focus, if the address opens it. */
export function useReveal<E extends HTMLElement>(name: Editable): RefObject<E | null> {
  const element = useRef<E>(null)
  const isAsked = isEdited(name)
  useEffect(() => {
    if (!isAsked || !element.current) return
    element.current.scrollIntoView({ block: 'center' })
    element.current.querySelector<HTMLElement>('input, textarea, select, button')?.focus()
  }, [isAsked])
  return element
}
