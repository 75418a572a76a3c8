// How somebody works a page: with a pointer, or with the keyboard alone. Both take the same locators, so that every act of a
// person can be done by either.

// What tells a focused element from one that is not, on itself, its label or what is drawn before and after them.
const REMEMBER_FOCUS = async () => {
  const look = (element) => {
    const label = element.labels?.[0]
    const parts = [[element, null], [element, '::before'], [element, '::after']]
    if (label) parts.push([label, null], [label, '::before'], [label, '::after'])
    return parts.map(([part, drawn]) => {
      const style = getComputedStyle(part, drawn)
      return [style.outlineStyle, style.outlineColor, style.outlineWidth, style.boxShadow, style.backgroundColor,
        style.borderColor, style.borderWidth, style.color, style.textDecoration].join('|')
    }).join('\n')
  }
  const before = window.lastFocused
  let fault = null
  if (before && before.element.isConnected && before.element !== document.activeElement && look(before.element) === before.look) {
    fault = `focus can not be seen on ${before.element.outerHTML.slice(0, 200)}`
  }
  const element = document.activeElement
  if (element && element !== document.body) {
    const isInside = () => {
      const box = (element.labels?.[0] ?? element).getBoundingClientRect()
      return box.width <= 1 || (box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth)
    }
    // The page is scrolled to it with one of the next frames.
    for (let n = 0; n < 30 && !isInside(); n += 1) await new Promise((drawn) => requestAnimationFrame(drawn))
    if (!isInside()) fault ??= `what has the focus is out of sight: ${element.outerHTML.slice(0, 200)}`
    window.lastFocused = { element, look: look(element) }
  }
  return fault
}

export class Pointer {
  constructor(page) {
    this.page = page
  }

  async press(locator) {
    await locator.click()
  }

  async fill(locator, text) {
    await locator.fill(text)
  }

  async tick(locator) {
    await locator.check()
  }

  async untick(locator) {
    await locator.uncheck()
  }

  async select(locator, option) {
    await locator.selectOption(option)
  }
}

// The longest way through a page, in presses of Tab.
const LONGEST_WAY = 600

export class Keyboard {
  constructor(page, fault) {
    this.page = page
    this.fault = fault
  }

  async #key(key) {
    await this.page.keyboard.press(key)
  }

  // Tab until it, or for a radio button one of its group, has the focus.
  async #reach(locator) {
    const target = await locator.elementHandle()
    const there = () =>
      target.evaluate((element) => {
        const now = document.activeElement
        return now === element || (element.type === 'radio' && now?.type === 'radio' && now.name === element.name && now.form === element.form)
      })
    for (let n = 0; n < LONGEST_WAY; n += 1) {
      if (await there()) return target
      await this.#key('Tab')
      const fault = await this.page.evaluate(REMEMBER_FOCUS)
      if (fault) this.fault(fault)
    }
    throw new Error(`no way by keyboard to ${await target.evaluate((element) => element.outerHTML.slice(0, 200))}`)
  }

  async press(locator) {
    await this.#reach(locator)
    await this.#key('Enter')
  }

  async fill(locator, text) {
    const target = await this.#reach(locator)
    await this.#key('Control+A')
    await this.#key('Delete')
    await this.page.keyboard.insertText(text)
    const found = await target.inputValue()
    if (found !== text) throw new Error(`typed text does not stand in the field: ${found.length} characters of ${text.length}`)
  }

  async tick(locator) {
    if (await locator.isChecked()) return
    const target = await this.#reach(locator)
    const isRadio = await target.evaluate((element) => element.type === 'radio')
    if (!isRadio) return this.#key('Space')
    // The arrows go round the group and choose as they go; the space bar chooses the first.
    await this.#key('Space')
    for (let n = 0; n < LONGEST_WAY && !(await target.isChecked()); n += 1) await this.#key('ArrowDown')
    if (!(await target.isChecked())) throw new Error('no way by arrows to a choice')
  }

  async untick(locator) {
    if (!(await locator.isChecked())) return
    await this.#reach(locator)
    await this.#key('Space')
  }

  async select(locator, option) {
    const target = await this.#reach(locator)
    const at = await target.evaluate(
      (element, option) => Array.from(element.options).findIndex((o) => o.value === option || o.label === (option.label ?? option)),
      option,
    )
    if (at < 0) throw new Error(`there is no such option: ${JSON.stringify(option)}`)
    await this.#key('Home')
    for (let n = 0; n < at; n += 1) await this.#key('ArrowDown')
    if ((await target.evaluate((element) => element.selectedIndex)) !== at) throw new Error('no way by arrows to an option')
  }
}
