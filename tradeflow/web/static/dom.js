// Elements without a framework: `h` makes one, `text` and `rows` change only what is another.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// The children of `parent`, one for each [key, value]: kept, made, moved or removed by key, so that focus stays.
export function rows(parent, entries, make, update) {
  const known = (parent.kept ??= new Map());
  const wanted = new Set(entries.map(([key]) => key));
  for (const [key, row] of known) {
    if (!wanted.has(key)) {
      row.remove();
      known.delete(key);
    }
  }
  let next = parent.firstElementChild;
  for (const [key, value] of entries) {
    let row = known.get(key);
    if (!row) {
      row = make(value);
      known.set(key, row);
    }
    if (row === next) next = next.nextElementSibling;
    else parent.insertBefore(row, next);
    update(row, value);
  }
}
