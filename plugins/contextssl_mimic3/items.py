"""Item identifiers of MIMIC-III: what is a vital sign, a laboratory value, a vasopressor, a ventilator setting.

The identifiers and the plausible ranges are those of the public MIMIC code repository (Johnson et al., "The MIMIC Code
Repository", JAMIA 2018; https://github.com/MIT-LCP/mimic-code, folder ``mimic-iii/concepts``): ``vitals_first_day``,
``labs_first_day``, ``blood_gas_first_day``, ``vasopressor_durations``, ``ventilation_classification``. Their names were
compared with ``D_ITEMS`` and ``D_LABITEMS``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One measured quantity.

    Attributes:
        name: with its unit.
        items: the identifiers under which it is recorded.
        low: a value must lie above it, in the unit of the record; others are errors of measurement or entry.
        high: a value must lie below it.
        fahrenheit: identifiers whose values are turned into degrees Celsius, after the comparison with their own
            range of 70 to 120.
    """

    name: str
    items: tuple[int, ...]
    low: float
    high: float
    fahrenheit: tuple[int, ...] = ()


VITAL_SIGNS = (
    Variable("heart rate (1/min)", (211, 220045), 0, 300),
    Variable("systolic pressure (mmHg)", (51, 442, 455, 6701, 220179, 220050), 0, 400),
    Variable("diastolic pressure (mmHg)", (8368, 8440, 8441, 8555, 220180, 220051), 0, 300),
    Variable("mean pressure (mmHg)", (52, 443, 456, 6702, 220052, 220181, 225312), 0, 300),
    Variable("respiratory rate (1/min)", (615, 618, 220210, 224690), 0, 70),
    Variable("temperature (C)", (676, 223762), 10, 50, fahrenheit=(678, 223761)),
    Variable("oxygen saturation (%)", (646, 220277), 0, 100.5),
    Variable("bedside glucose (mg/dL)", (807, 811, 1529, 3744, 3745, 220621, 225664, 226537), 0, 10_000),
)
"""From CHARTEVENTS."""

LABORATORY = (
    Variable("albumin (g/dL)", (50862,), 0, 10),
    Variable("anion gap (mEq/L)", (50868,), 0, 10_000),
    Variable("bands (%)", (51144,), 0, 100),
    Variable("bicarbonate (mEq/L)", (50882,), 0, 10_000),
    Variable("bilirubin (mg/dL)", (50885,), 0, 150),
    Variable("chloride (mEq/L)", (50806, 50902), 0, 10_000),
    Variable("creatinine (mg/dL)", (50912,), 0, 150),
    Variable("glucose (mg/dL)", (50809, 50931), 0, 10_000),
    Variable("haematocrit (%)", (50810, 51221), 0, 100),
    Variable("haemoglobin (g/dL)", (50811, 51222), 0, 50),
    Variable("INR", (51237,), 0, 50),
    Variable("lactate (mmol/L)", (50813,), 0, 50),
    Variable("pCO2 (mmHg)", (50818,), 0, 1000),
    Variable("pH", (50820,), 6, 9),
    Variable("platelets (K/uL)", (51265,), 0, 10_000),
    Variable("potassium (mEq/L)", (50822, 50971), 0, 30),
    Variable("PTT (s)", (51275,), 0, 150),
    Variable("sodium (mEq/L)", (50824, 50983), 0, 200),
    Variable("urea nitrogen (mg/dL)", (51006,), 0, 300),
    Variable("white blood cells (K/uL)", (51300, 51301), 0, 1000),
)
"""From LABEVENTS."""

VASOPRESSORS_MV = (
    221906,  # norepinephrine
    221289,  # epinephrine
    221749,  # phenylephrine
    222315,  # vasopressin
    221662,  # dopamine
    221653,  # dobutamine
    221986,  # milrinone
)
"""From INPUTEVENTS_MV."""

VASOPRESSORS_CV = (
    30047, 30120,  # norepinephrine (Levophed)
    30044, 30119, 30309,  # epinephrine
    30127, 30128,  # phenylephrine (Neosynephrine)
    30051,  # vasopressin
    30043, 30307,  # dopamine
    30042, 30306,  # dobutamine
    30125,  # milrinone
)  # fmt: skip
"""From INPUTEVENTS_CV."""
RATE_IN_AMOUNT_CV = (42273, 42802)
"""Vasopressin of two patients, whose rate is in the column AMOUNT."""

VASOPRESSOR_NAMES = (
    "norepinephrine", "levophed", "epinephrine", "phenylephrine", "neosynephrine", "neo-synephrine", "vasopressin",
    "dopamine", "dobutamine", "milrinone",
)  # fmt: skip
"""Prescriptions whose name holds one of these are no feature: the drip of the first day is the label of the second."""

VENTILATION_MV = (
    225792,  # invasive ventilation
    225794,  # non-invasive ventilation
)
"""From PROCEDUREEVENTS_MV. Both, since the settings that CareVue records do not tell them apart."""

VENTILATOR_SETTINGS_CV = (
    445, 448, 449, 450, 1340, 1486, 1600,  # minute volume
    639, 654, 681, 682, 683, 684,  # tidal volume
    218, 436, 444, 535,  # peak, mean and other pressures
    1, 221, 1211, 1655, 2000,  # inspiratory time and ratio
    543,  # plateau pressure
    5865, 5866,  # airway pressure release
    60, 437, 505, 506, 686,  # PEEP
    3459,  # high pressure relief
    501, 502, 503,  # pressure control
    223, 667, 668, 669, 670, 671, 672,  # time-cycled pressure control
)  # fmt: skip
"""From CHARTEVENTS of CareVue: any value of these means that a ventilator runs."""
VENTILATOR_MODE_CV = 720
"""So does any mode but this one."""
OTHER_MODE_CV = "Other/Remarks"
OXYGEN_DEVICE_CV = 467
"""So does this device for giving oxygen."""
VENTILATOR_DEVICE_CV = "Ventilator"
