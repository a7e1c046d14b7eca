"""Element-wise monotone bijections, one file each: strictly increasing maps of the real line and their exact inverses.

They change the marginal law and leave every mutual information as it was (Czyż, Grabowski, Vogt, Beerenwinkel and
Marx, "Beyond Normal: On the Evaluation of Mutual Information Estimators", 2023). Each is computed in float64 and
rounded once to the dtype of its input, so that a float32 round trip costs no more than that rounding.

A new map is one new file here, with one subclass of `ElementwiseBijection`: `mmmi_hf.flow.catalogue` lists the folder.
"""
