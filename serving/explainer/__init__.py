"""The explainer: SHAP, LIME and occlusion on request, over any predictor of this protocol."""
