// Gives the wires of this pack their own colours, in both renderers and in every colour palette that has none for them.
import { app } from "../../scripts/app.js";

const COLOURS = {
  LIKENESS_ADAPTER: "#ba68c8",
  LIKENESS_ANALYSIS: "#8f9bb3",
  LIKENESS_CROPS: "#4db6ac",
  LIKENESS_FACES: "#ffb74d",
  LIKENESS_IDENTITY: "#f06292",
  LIKENESS_LIPS: "#e57373",
  LIKENESS_OCCLUDER: "#a1887f",
  LIKENESS_PARSER: "#ff8a65",
  LIKENESS_REGIONS: "#4fc3f7",
  LIKENESS_SCHEDULE: "#a1887f",
  LIKENESS_MOTION: "#b388ff",
  LIKENESS_RESTORER: "#4dd0e1",
  LIKENESS_SPEECH_HEAD: "#dce775",
  LIKENESS_SWAPPER: "#9ccc65",
  LIKENESS_RENDERER: "#4dd0e1",
  LIKENESS_TALKER: "#ffd54f",
};

app.registerExtension({
  name: "Likeness.Wires",
  // the palette is loaded after `setup` and empties what it does not know
  afterConfigureGraph() {
    for (const [type, colour] of Object.entries(COLOURS)) {
      const variable = `--color-datatype-${type}`;
      const root = document.documentElement;
      if (!getComputedStyle(root).getPropertyValue(variable)) root.style.setProperty(variable, colour);
      app.canvas.default_connection_color_byType[type] ||= colour;
      window.LGraphCanvas.link_type_colors[type] ||= colour;
    }
    app.canvas.setDirty(true, true);
  },
});
